"""The PyTorch training of pruned CIFAR ResNets computes what the plugin's pruned model computes in Paddle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.zoo.cifar_resnet import CifarResNet

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from benchmarks.cifar10_pruned import plans, train  # noqa: E402  (PyTorch is there)
from benchmarks.cifar10_pruned.distillation import logit_table, looked_up, loss_of  # noqa: E402
from benchmarks.cifar10_pruned.images import augmented, normalised  # noqa: E402
from benchmarks.cifar10_pruned.layout import layout_of, split, wide_layout  # noqa: E402
from benchmarks.cifar10_pruned.measure import pruned_model, save_checkpoint  # noqa: E402
from benchmarks.cifar10_pruned.network import Network  # noqa: E402
from benchmarks.cifar10_pruned.parameters import Parameters, initial_state  # noqa: E402
from benchmarks.cifar10_pruned.queueing import Queue  # noqa: E402
from benchmarks.cifar10_pruned.recipe import Recipe, read_runs  # noqa: E402
from benchmarks.cifar10_pruned.run import Run, steps_of  # noqa: E402
from benchmarks.cifar10_repro.cifar10 import Cifar10  # noqa: E402

from ppcls_slim import checkpoint as checkpoints  # noqa: E402
from ppcls_slim.prune.plan import Plan  # noqa: E402

CPU = torch.device("cpu")


def _arrays(train: int = 16, test: int = 16) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "train_images": rng.integers(0, 256, (train, 32, 32, 3), dtype=np.uint8),
        "train_labels": rng.integers(0, 10, train),
        "test_images": rng.integers(0, 256, (test, 32, 32, 3), dtype=np.uint8),
        "test_labels": rng.integers(0, 10, test),
    }


@pytest.fixture(scope="module")
def data() -> Cifar10:
    return Cifar10(_arrays(), CPU, torch.float32)


@pytest.fixture(scope="module")
def pruned(tmp_path_factory: pytest.TempPathFactory) -> tuple[CifarResNet, Path]:
    """A pruned ResNet-8 with statistics of its own, streams and inner channels of different widths; its folder."""
    paddle.seed(3)
    model = CifarResNet(8)
    rng = np.random.default_rng(3)
    for name, tensor in model.state_dict().items():
        if "bn" in name:
            tensor.set_value(rng.uniform(0.5, 1.5, tensor.shape).astype(np.float32))
    config = PruneConfig(name="fpgm", ratios={"conv1": 0.2, "layer*.0.conv1": 0.4, "layer*.0.conv2": 0.3})
    plan = make_plan(model, config, [3, 32, 32])
    folder = tmp_path_factory.mktemp("plans")
    model.eval()
    plans.write_plan(model, plan, "r8", folder)
    return model, folder


def _state(folder: Path) -> dict[str, torch.Tensor]:
    from safetensors.torch import load_file

    return load_file(folder / "r8.safetensors")


def _images(count: int = 64) -> np.ndarray:
    return np.random.default_rng(1).standard_normal((count, 3, 32, 32)).astype(np.float32)


@pytest.mark.parametrize("pad", [1, 8])
def test_outputs_are_those_of_the_pruned_model_in_paddle(pruned: tuple[CifarResNet, Path], pad: int) -> None:
    model, folder = pruned
    state = _state(folder)
    layout = layout_of(state)
    assert all(shape[0] not in (16, 32, 64) for shape in (state["conv1.weight"].shape, state["bn1.bias"].shape))
    assert any(block.place and block.in_c < 16 for block in layout.blocks)
    parameters = Parameters(layout, pad, CPU, torch.float32, low=False)
    parameters.load(state)
    network = Network.of(layout, pad, CPU, torch.float32, compiled=False)
    x = parameters.widened(torch.from_numpy(_images()))
    logits = network.forward(parameters.leaves, parameters.stats, x, training=False)
    with paddle.no_grad():
        expected = model(paddle.to_tensor(_images())).numpy()
    np.testing.assert_allclose(logits.detach().numpy(), expected, rtol=1e-4, atol=1e-4)


def test_macs_are_those_of_the_plan(pruned: tuple[CifarResNet, Path]) -> None:
    plan = Plan.from_json(json.loads((pruned[1] / "r8.plan.json").read_text()))
    assert layout_of(_state(pruned[1])).macs() == plan.flops["pruned"]
    assert wide_layout(8).macs() == plan.flops["dense"]


def test_gradients_of_a_training_step_are_paddles(pruned: tuple[CifarResNet, Path], data: Cifar10) -> None:
    model, folder = pruned
    state = _state(folder)
    run = Run([Recipe("r8", pad=8, batch=16)], data, [state], [], low=False, compiled=False)
    images, labels = _images(16), np.arange(16) % 10
    loss = run.loss_and_gradients(torch.from_numpy(images), torch.from_numpy(labels)[None], None)
    model.train()
    statistics = {name: tensor.numpy() for name, tensor in model.state_dict().items()}
    expected = plans.cross_entropy(model, (paddle.to_tensor(images), paddle.to_tensor(labels)))
    expected.backward()
    model.eval()
    model.set_state_dict(statistics)
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)
    gradients = run.parameters.state_dict(run.parameters.gradient, run.parameters.statistics)
    trained = {name: p for name, p in model.named_parameters() if not p.stop_gradient}
    largest = max(float(p.grad.abs().max()) for p in trained.values())
    for name, parameter in trained.items():
        np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=1e-3, atol=1e-5 * largest)


def test_padding_stays_zero_and_changes_nothing(pruned: tuple[CifarResNet, Path], data: Cifar10) -> None:
    state = _state(pruned[1])
    runs = {}
    for pad in (1, 8):
        recipe = Recipe("r8", pad=pad, batch=8, epochs=2, ema=0.5, lr=0.01)
        run = runs[pad] = Run([recipe], data, [state], [], low=False, compiled=False)
        for epoch in range(2):
            run.epoch(epoch)
    plain, padded = (run.state_dict() for run in runs.values())
    assert set(plain) == set(state)
    for name, value in plain.items():
        torch.testing.assert_close(padded[name], value, rtol=1e-3, atol=1e-4)
    parameters = runs[8].parameters
    for name, view in split(parameters.flat, parameters.stored).items():
        rest = view.clone()
        rest[tuple(slice(n) for n in parameters.shapes[name])] = 0
        assert not rest.any(), name


def test_runs_packed_into_one_network_train_as_each_does_alone(
    pruned: tuple[CifarResNet, Path], data: Cifar10
) -> None:
    states = [_state(pruned[1]), initial_state(wide_layout(8), 2), _state(pruned[1])]
    recipes = [Recipe(f"s{s}", seed=s, batch=8, epochs=2, ema=0.5, lr=0.01, distill_weight=0.5) for s in (1, 2, 3)]
    tables = [logit_table(data, lambda images: images.flatten(1)[:, :10])]

    def trained(recipes: list[Recipe], states: list[dict[str, torch.Tensor]]) -> Run:
        run = Run(recipes, data, states, tables, low=False, compiled=False)
        for epoch in range(2):
            run.epoch(epoch)
        return run

    packed = trained(recipes, states)
    for index, (recipe, state) in enumerate(zip(recipes, states)):
        alone = trained([recipe], [state])
        expected, found = alone.state_dict(), packed.state_dict(index)
        assert set(found) == set(expected) == set(state)
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(packed.history[:, :, index], alone.history[:, :, 0], rtol=1e-4, atol=1e-4)
    assert not packed.parameters.flat[packed.mask == 0].any()


def test_distillation_is_hintons_formula() -> None:
    rng = np.random.default_rng(5)
    logits, teachers, labels = rng.normal(size=(6, 10)), rng.normal(size=(6, 2, 10)), np.arange(6)

    def softmax(x: np.ndarray) -> np.ndarray:
        e = np.exp(x - x.max(axis=-1, keepdims=True))
        return e / e.sum(axis=-1, keepdims=True)

    target = softmax(teachers / 4).mean(axis=1)
    soft = (target * (np.log(target) - np.log(softmax(logits / 4)))).sum(axis=1).mean()
    hard = -np.log(softmax(logits)[labels, labels]).mean()
    loss = loss_of(torch.tensor(logits), torch.tensor(labels), torch.tensor(teachers), 0.0, 0.7, 4.0)
    assert float(loss) == pytest.approx(0.3 * hard + 0.7 * 16 * soft)


def test_a_teacher_that_is_looked_up_answers_as_the_teacher_itself(data: Cifar10) -> None:
    def teacher(images: torch.Tensor) -> torch.Tensor:
        return images.flatten(1)[:, ::300][:, :10]

    index, shift, flip = torch.tensor([5, 3]), torch.tensor([[0, 8], [4, 1]]), torch.tensor([True, False])
    logits = looked_up([logit_table(data, teacher)], index, shift, flip)
    torch.testing.assert_close(logits[:, 0].float(), teacher(data.batch(index, shift, flip)[0]), rtol=2e-3, atol=2e-3)


def test_batches_in_paddle_are_augmented_as_in_pytorch(data: Cifar10) -> None:
    index, shift, flip = np.array([5, 6]), np.array([[0, 8], [4, 2]]), np.array([True, False])
    images = normalised(augmented(_arrays()["train_images"][index], shift, flip))
    expected = data.batch(*map(torch.from_numpy, (index, shift, flip)))[0]
    np.testing.assert_allclose(images, expected.numpy(), atol=1e-6)


def test_runs_train_in_order_and_a_student_waits_for_its_teacher(
    pruned: tuple[CifarResNet, Path], tmp_path: Path
) -> None:
    np.savez(tmp_path / "cifar10.npz", **_arrays(8, 8))
    student = {"name": "student", "weights": "r8", "seeds": [1, 2], "teacher": ["wide"], "pack": "students"}
    runs = {"defaults": {"epochs": 2, "batch": 8}, "runs": [student, {"name": "wide", "depth": 8}]}
    (tmp_path / "runs.json").write_text(json.dumps(runs))
    places = [*("--data", tmp_path), *("--weights", pruned[1]), *("--out", tmp_path / "out")]
    options = train.parse([str(tmp_path / "runs.json"), *map(str, places), "--device=cpu", "--precision=fp32"])
    options.no_compile, options.side_by_side = True, 2
    Queue(options).work()
    records = [json.loads((tmp_path / "out" / f"student-s{seed}.json").read_text()) for seed in (1, 2)]
    assert (tmp_path / "out" / "wide.logits.pt").exists()
    assert [record["recipe"]["seed"] for record in records] == [1, 2]
    assert all(len(record["curve"]["test_top1"]) == 2 and record["seconds"] > 0 for record in records)
    plan = Plan.from_json(json.loads((pruned[1] / "r8.plan.json").read_text()))
    model, depth = pruned_model(tmp_path / "out" / "student-s1.safetensors", plan)
    save_checkpoint(model, plan, tmp_path / "back")
    assert depth == 8
    assert checkpoints.open_checkpoint(str(tmp_path / "back"), "Global.pretrained_model").plan == plan


def test_an_unknown_key_of_a_run_is_named(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text('{"runs": [{"name": "a", "rate": 1}]}')
    with pytest.raises(ValueError, match="a has rate"):
        read_runs(tmp_path / "runs.json")


def test_a_pack_of_different_recipes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "runs.json").write_text('{"runs": [{"name": "a", "pack": "p"}, {"name": "b", "pack": "p", "lr": 1}]}')
    with pytest.raises(ValueError, match="a and b are in pack p with other settings"):
        read_runs(tmp_path / "runs.json")


def test_rates_rise_to_the_peak_and_fall_to_nothing() -> None:
    rates = Recipe("a", epochs=10, lr=0.2, warmup=1, first_lr=0.1).rates(10)
    assert rates[0] == pytest.approx(0.02)
    assert max(rates) == rates[10] == pytest.approx(0.2)
    assert rates[-1] < 0.001
    linear = Recipe("a", epochs=10, lr=0.2, warmup=0, schedule="linear").rates(10)
    assert linear[50] == pytest.approx(0.1)


def test_graphs_hold_a_divisor_of_the_steps() -> None:
    assert steps_of(390, True) == (15, 390)
    assert steps_of(97, True) == (12, 96)
    assert steps_of(97, False) == (1, 97)
