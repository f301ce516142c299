"""What a teacher adds to the loss and to the gradients of a student, on networks of two layers."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.distill import DistillConfig
from ppcls_slim.distill.distillation import Distillation
from ppcls_slim.distill.features import Trial, comparable, trial
from ppcls_slim.distill.losses import feature_loss, kl_loss, logits_of
from ppcls_slim.reference import distillation as reference

pytestmark = pytest.mark.paddle26
F = paddle.nn.functional


class Network(paddle.nn.Layer):
    """[n, 3, 8, 8] -> [n, 5]."""

    def __init__(self, width=6):
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, width, 3, stride=2)
        self.norm = paddle.nn.BatchNorm2D(width)
        self.relu = paddle.nn.ReLU()
        self.fc = paddle.nn.Linear(width * 9, 5)
        self.runs = 0

    def forward(self, x):
        self.runs += 1
        return self.fc(self.relu(self.norm(self.conv(self.relu(x)))).flatten(1))


def cross_entropy(output, labels):
    return {"CELoss": F.cross_entropy(output, labels), "loss": F.cross_entropy(output, labels)}


@pytest.fixture
def scene():
    """Student, teacher, images, labels."""
    paddle.seed(3)
    return Network(), Network(), paddle.randn([4, 3, 8, 8]), paddle.randint(0, 5, [4, 1])


def losses(student, teacher, images, labels, **settings):
    """One step of training up to the gradients."""
    config = DistillConfig(**settings)
    distillation = Distillation(teacher, config, config.features)
    distillation.attach(student)
    student.train()
    found = distillation.added_to(cross_entropy)(student(images), labels)
    found["loss"].backward()
    distillation.detach()
    return found


def twin_of(network):
    twin = Network()
    twin.set_state_dict(network.state_dict())
    return twin


def gradients(model):
    return {name: p.grad.numpy() for name, p in model.named_parameters() if not p.stop_gradient}


def test_the_students_gradients_are_those_of_the_formula(scene):
    student, teacher, images, labels = scene
    twin = twin_of(student)
    found = losses(student, teacher, images, labels, weight=0.3, temperature=3.0)
    teacher.eval()
    said, output = teacher(images).numpy(), twin(images)
    kl = reference.kl_loss(output.numpy(), said, 3.0)
    assert list(found) == ["CELoss", "DistillLoss", "loss"]
    assert float(found["DistillLoss"]) == pytest.approx(kl, rel=1e-4)
    assert float(found["loss"]) == pytest.approx(0.7 * float(found["CELoss"]) + 0.3 * kl, rel=1e-5)
    one_hot = F.one_hot(labels.flatten(), 5)
    of_task = (F.softmax(output) - one_hot).numpy() / 4
    at_logits = 0.7 * of_task + 0.3 * reference.kl_gradient(output.numpy(), said, 3.0)
    output.backward(paddle.to_tensor(at_logits.astype("float32")))
    for name, expected in gradients(twin).items():
        np.testing.assert_allclose(gradients(student)[name], expected, atol=1e-5, err_msg=name)


def test_the_teacher_stays_what_it_was(scene):
    student, teacher, images, labels = scene
    before = {name: value.numpy() for name, value in teacher.state_dict().items()}
    losses(student, teacher, images, labels)
    assert not teacher.training
    assert all(p.grad is None for p in teacher.parameters())
    for name, value in teacher.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name], err_msg=name)


def test_it_runs_once_for_a_training_batch_and_not_for_evaluation(scene):
    student, teacher, images, labels = scene
    distillation = Distillation(teacher, DistillConfig(), {})
    distillation.attach(student)
    student.eval()
    student(images)
    assert teacher.runs == 0
    student.train()
    for count in (1, 2):
        distillation.added_to(cross_entropy)(student(images), labels)
        assert teacher.runs == count
    distillation.detach()
    student(images)
    assert teacher.runs == 2


def test_whoever_copies_or_saves_the_student_does_not_see_the_teacher(scene):
    student, teacher, images, labels = scene
    names = set(student.state_dict())
    averaged = copy.deepcopy(student)  # as PaddleClas's EMA does before it trains
    losses(student, teacher, images, labels)
    assert set(student.state_dict()) == names
    averaged(images)
    assert teacher.runs == 1


def test_features_add_their_mean_squared_difference(scene):
    student, teacher, images, labels = scene
    twin = twin_of(student)
    found = losses(student, teacher, images, labels, weight=0.0, features={"norm": 2.0, "fc": 0.5})
    teacher.eval()

    def until_norm(network):
        return network.norm(network.conv(network.relu(images)))

    twin_norm, teacher_norm = until_norm(twin), until_norm(teacher)
    twin_fc, teacher_fc = (n.fc(n.relu(x).flatten(1)) for n, x in ((twin, twin_norm), (teacher, teacher_norm)))
    of_norm, of_fc = twin_norm - teacher_norm.detach(), twin_fc - teacher_fc.detach()
    added = 2 * (of_norm**2).mean() + 0.5 * (of_fc**2).mean()
    assert float(found["FeatureLoss"]) == pytest.approx(float(added), rel=1e-5)
    (added + F.cross_entropy(twin_fc, labels)).backward()
    for name, expected in gradients(twin).items():
        np.testing.assert_allclose(gradients(student)[name], expected, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_what_models_compute_in_half_precision_is_compared_in_float32(dtype):
    """Paddle has no mixed precision on a CPU; this is what the loss is given by models that ran in it."""
    paddle.seed(3)
    student, teacher = (paddle.randn([4, 5]).astype(dtype) for _ in range(2))
    student.stop_gradient = False
    found = kl_loss(student, teacher, 4.0)
    rounded = [one.astype("float32").numpy() for one in (student, teacher)]
    assert found.dtype == feature_loss(student, teacher).dtype == paddle.float32
    assert float(found) == pytest.approx(reference.kl_loss(*rounded, 4.0), rel=1e-5)
    found.backward()
    assert student.grad.dtype == student.dtype


def test_a_trial_sees_layers_that_run_once(scene):
    student, _, images, _ = scene
    found = trial(student, images)
    assert found.logits == [4, 5]
    assert found.features == {"conv": [4, 6, 3, 3], "norm": [4, 6, 3, 3], "fc": [4, 5]}  # relu runs twice
    assert student.training


TEACHER = Trial([1, 5], {"a": [1, 4, 8, 8], "b.conv": [1, 8, 8, 8], "b.fc": [1, 5], "c": [1, 2]})
STUDENT = Trial([1, 5], {"a": [1, 4, 8, 8], "b.conv": [1, 3, 8, 8], "b.fc": [1, 5], "d": [1, 2]})


def test_a_pattern_stands_for_the_layers_whose_shapes_agree():
    assert comparable({"b.*": 0.5, "a": 2.0}, STUDENT, TEACHER, "key") == {"a": 2.0, "b.fc": 0.5}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("b.conv", r"gives \[1, 3, 8, 8\] in the student and \[1, 8, 8, 8\] in the teacher; of one .* a, b\.fc"),
        ("d*", r"the teacher has no layer 'd'; of one shape in both are a, b\.fc"),
        ("b.conf", r"matches no layer .*did you mean 'b\.conv'"),
        ("e*", "matches no layer .*the first of its 4 is 'a'"),
    ],
)
def test_a_layer_that_cannot_be_compared_is_one_line_that_names_those_that_can(name, message):
    with pytest.raises(SlimError, match=rf"^key: .*{message}"):
        comparable({name: 1.0}, STUDENT, TEACHER, "key")


def test_scores_come_first_or_under_their_name():
    first, second = paddle.zeros([1]), paddle.ones([1])
    for output in (first, [first, second], (first, [second]), {"logits": first, "features": second}):
        assert logits_of(output) is first
