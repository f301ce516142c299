"""What ``Slim.distill`` refuses, each in one line that names the key and the remedy."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace

import pytest
import yaml

from conftest import RECOGNITION, ROOT, output_prefix
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.section import SlimConfig
from ppcls_slim.engine.teaching.checks import check_distillation
from ppcls_slim.engine.teaching.teacher import Teacher, seen_by

DENSE = ROOT / "ppcls_configs/quickstart/digits_dense"
PRUNE = {"pruned_ratio": 0.5}


@pytest.fixture
def refused(cli, small, tmp_path):
    """Train a ResNet-8 with these keys of ``Slim.distill``; return the message."""

    def train(*arguments, slim=None, **distill):
        config = yaml.safe_load(small.read_text())
        config["Arch"] = {"name": "CifarResNet8", "class_num": 10}
        config["Global"]["pretrained_model"] = str(DENSE)
        config["Slim"] = {**({"prune": PRUNE} if slim is None else slim), "distill": distill}
        small.write_text(yaml.safe_dump(config))
        result = cli("train", "-c", small, *arguments)
        assert result.status == 2, result.out
        assert not list(tmp_path.rglob("*.pdparams")) or arguments, "it trained"
        return result.message.removeprefix("ppcls_slim: error: ")

    return train


def changed_weights(tmp_path, classes):
    """The trained weights with another classifier."""
    state = paddle.load(f"{DENSE}.pdparams")
    state["linear.weight"], state["linear.bias"] = paddle.zeros([64, classes]), paddle.zeros([classes])
    paddle.save(state, str(tmp_path / "changed.pdparams"))
    return tmp_path / "changed"


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"weight": 1.5}, "Slim.distill.weight is 1.5: input should be less than or equal to 1"),
        ({"weight": -0.5}, "Slim.distill.weight is -0.5: input should be greater than or equal to 0"),
        ({"temperature": 0}, "Slim.distill.temperature is 0: input should be greater than 0"),
        (
            {"weight": 0},
            "Slim.distill: nothing would be learned from the teacher: raise weight above 0, or name feat",
        ),
        ({"teachr": "a"}, "unknown key Slim.distill.teachr (did you mean 'teacher'?)"),
        ({"teacher": "nowhere"}, "Slim.distill.teacher: there is no file nowhere.pdparams"),
        ({"config": "nowhere.yaml"}, "Slim.distill.config: there is no file nowhere.yaml"),
        (
            {"slim": {}},
            "Slim.distill: nothing is compressed, and the model would learn from itself: add Slim.prune or",
        ),
        (
            {"features": ["linera"]},
            "Slim.distill.features: 'linera' matches no layer of the model (did you mean 'linear'?)",
        ),
        (
            {"features": ["conv1"]},
            "Slim.distill.features: 'conv1' gives [1, 8, 32, 32] in the student and [1, 16, 32, 32]",
        ),
    ],
)
def test_keys(refused, keys, message):
    assert refused(**keys).startswith(message)


def test_a_teacher_of_other_classes(refused, tmp_path):
    weights = changed_weights(tmp_path, 7)
    message = refused("-o", f"Slim.distill.teacher={weights}")
    assert message == f"Slim.distill.teacher: {weights}.pdparams is for 7 classes, and this training for 10"
    other = tmp_path / "other.yaml"
    other.write_text(yaml.safe_dump({"Global": {}, "Arch": {"name": "CifarResNet8", "class_num": 7}}))
    message = refused("-o", f"Slim.distill.teacher={weights}", config=str(other))
    assert message == (
        f"Slim.distill.teacher: {weights}.pdparams gives 7 classes, and the model of Arch 10 classes: give a teacher "
        "of the same classes"
    )
    other.write_text(yaml.safe_dump({"Global": {}}))
    assert refused("-o", f"Slim.distill.teacher={weights}", config=str(other)) == (
        f"Slim.distill.config: {other} has no Arch.name: give a PaddleClas configuration"
    )


def test_weights_of_another_network(refused, tmp_path):
    paddle.save({"a": paddle.ones([1])}, str(tmp_path / "a.pdparams"))
    message = refused("-o", f"Slim.distill.teacher={tmp_path / 'a'}")
    assert message.startswith(
        f"Slim.distill.teacher: {tmp_path / 'a'}.pdparams lacks 39 tensors of the model of Arch"
    )


def test_random_weights(refused):
    message = refused("-o", "Global.pretrained_model=None")
    assert message.startswith(
        "Slim.distill.teacher: dense is the model before compression, and its weights are random"
    )


def test_another_input():
    run = SimpleNamespace(input_shape=[3, 32, 32])
    grey = Teacher(paddle.nn.Conv2D(1, 10, 3), "grey.pdparams")
    with pytest.raises(
        SlimError, match=r"grey\.pdparams does not take the input of this .*Global\.image_shape \[3, 32, 32\]"
    ):
        seen_by(grey, run)


def test_a_teacher_that_knows_nothing_is_told_of_and_trains(cli, small, tmp_path):
    """Its classifier is untrained, as after loading weights for other classes."""
    config = yaml.safe_load(small.read_text())
    config["Arch"] = {"name": "CifarResNet8", "class_num": 10}
    config["Global"]["pretrained_model"] = str(changed_weights(tmp_path, 10))
    config["Slim"]["distill"] = {}
    small.write_text(yaml.safe_dump(config))
    result = cli("train", "-c", small)
    assert result.status == 0, result.err
    assert "ppcls WARNING: ppcls_slim: Slim.distill.teacher: dense is no better than chance on training" in result.out
    note = output_prefix(tmp_path / "output", "latest").with_name("latest.slim.json").read_text()
    assert "no better than chance" in json.loads(note)["warnings"][0]


CLASSIFIES = {"name": "ResNet18", "class_num": 10}
CE = [{"CELoss": {"weight": 1.0}}]


@pytest.mark.parametrize(
    ("arch", "section", "loss", "message"),
    [
        ({"name": "DistillationModel", "models": []}, {}, CE, "Arch.name DistillationModel has a teacher of its own"),
        (RECOGNITION, {}, CE, "it compares scores of classes, .* and this model gives other scores or features"),
        (CLASSIFIES, {"eval_mode": "retrieval"}, CE, "this model gives other scores or features"),
        (CLASSIFIES, {"use_multilabel": True}, CE, "this model gives other scores or features"),
        (CLASSIFIES, {}, [{"MultiLabelLoss": {}}], "and Loss.Train has MultiLabelLoss: remove Slim.distill"),
        (CLASSIFIES, {}, [{"DistillationCELoss": {}}], "and Loss.Train has DistillationCELoss: remove Slim.distill"),
        (CLASSIFIES, {"train_mode": "fixmatch"}, CE, "Global.train_mode fixmatch has a training loop of its own"),
        (CLASSIFIES, {"to_static": True}, CE, "no layer's output can be seen with Global.to_static"),
    ],
)
def test_trainings_that_have_no_teacher(arch, section, loss, message):
    config = {"Arch": copy.deepcopy(arch), "Global": section, "Loss": {"Train": loss}}
    slim = SlimConfig.model_validate({"prune": PRUNE, "distill": {"features": ["fc"]}})
    with pytest.raises(SlimError, match=rf"^Slim\.distill.*{message}"):
        check_distillation(config, slim, None, "train")
    check_distillation(config, slim, None, "eval")


@pytest.mark.parametrize("name", ["CELoss", "MixCELoss", "GoogLeNetLoss", "SoftTargetCrossEntropy"])
def test_losses_of_classes_go_with_a_teacher(name):
    config = {"Arch": CLASSIFIES, "Global": {}, "Loss": {"Train": [{"CenterLoss": {}}, {name: {"weight": 1.0}}]}}
    check_distillation(config, SlimConfig.model_validate({"prune": PRUNE, "distill": {}}), None, "train")
