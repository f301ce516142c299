"""Dense weights are counted: what fits is loaded, what does not fit is said, or refused."""

from __future__ import annotations

import os
import pickle

import numpy as np
import pytest
import yaml

from conftest import output_prefix
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26


@pytest.fixture
def dense(cli, small, tmp_path):
    """Weights of the configuration ``small``, untrained, and a function that saves a changed copy of them."""
    from ppcls_slim.engine.build import build_dense

    config = yaml.safe_load(small.read_text())
    config["Slim"] = None
    small.write_text(yaml.safe_dump(config))
    weights = {name: value.numpy() for name, value in build_dense(config, "train").state_dict().items()}

    def saved(change=lambda weights: weights):
        changed = change(dict(weights))
        tensors = {name: paddle.to_tensor(value) for name, value in changed.items()}
        paddle.save(tensors, str(tmp_path / "given.pdparams"))
        return tmp_path / "given"

    return saved


def train(cli, small, prefix, *more):
    return cli("train", "-c", small, "-o", f"Global.pretrained_model={prefix}", *more)


def classifier_of(weights):
    (name,) = (name for name, value in weights.items() if name.endswith(".weight") and value.ndim == 2)
    return name.rpartition(".")[0]


def other_classes(weights, count=25):
    layer = classifier_of(weights)
    weights[f"{layer}.weight"] = weights[f"{layer}.weight"][:, :1].repeat(count, axis=1)
    weights[f"{layer}.bias"] = weights[f"{layer}.bias"][:1].repeat(count)
    return weights


def test_weights_that_fit_are_counted(cli, small, dense):
    result = train(cli, small, dense())
    assert result.status == 0, result.err
    assert "dense weights from" in result.out and "137 tensors" in result.out
    assert "not found" not in result.out


def test_a_classifier_for_other_classes_starts_untrained_and_that_is_said(cli, small, dense):
    result = train(cli, small, dense(other_classes))
    assert result.status == 0, result.err
    assert "fc.weight is for 25 classes in" in result.out and "and for 10 here" in result.out


@pytest.mark.parametrize("command", ["eval", "export"])
def test_only_training_goes_on_with_an_untrained_classifier(cli, small, dense, command):
    result = cli(command, "-c", small, "-o", f"Global.pretrained_model={dense(other_classes)}")
    assert result.status == 2
    assert "fc.weight is for 25 classes and Arch.class_num is 10" in result.message


def test_a_layer_of_other_widths_is_refused(cli, small, dense):
    def narrow(weights):
        return {**weights, "conv.conv.weight": weights["conv.conv.weight"][:4]}

    result = train(cli, small, dense(narrow))
    assert result.status == 2
    assert "conv.conv.weight is [4, 3, 3, 3] there and [8, 3, 3, 3]" in result.message


def test_a_layer_that_is_as_wide_as_there_are_classes_is_not_taken_for_a_classifier(cli, small, dense):
    """The first convolution has 8 filters."""
    narrow = ("conv.conv.weight", "conv.bn.weight", "conv.bn.bias", "conv.bn._mean", "conv.bn._variance")

    def change(weights):
        layer = classifier_of(weights)
        weights[f"{layer}.weight"], weights[f"{layer}.bias"] = (
            weights[f"{layer}.weight"][:, :8],
            weights[f"{layer}.bias"][:8],
        )
        return {**weights, **{name: weights[name][:4] for name in narrow}}

    result = train(cli, small, dense(change), "-o", "Arch.class_num=8")
    assert result.status == 2
    assert "conv.bn" in result.message or "conv.conv" in result.message


def test_a_few_missing_tensors_are_reported_and_many_are_refused(cli, small, dense):
    def without(share):
        return lambda weights: dict(list(weights.items())[int(share * len(weights)) :])

    few = train(cli, small, dense(without(0.05)))
    assert few.status == 0, few.err
    assert "lacks 6 tensors of the model of Arch (4.4 %), such as conv.conv.weight" in few.out
    many = dense(without(0.2))
    refused = train(cli, small, many)
    assert refused.status == 2
    assert "lacks 27 tensors" in refused.message and "Global.allow_missing_weights=True" in refused.message
    allowed = train(cli, small, many, "-o", "Global.allow_missing_weights=True")
    assert allowed.status == 0, allowed.err
    assert "lacks 27 tensors" in allowed.out


def test_weights_of_another_arch_are_refused_with_an_example_of_both(cli, small, dense):
    result = train(cli, small, dense(), "-o", "Arch.name=ResNet18")
    assert result.status == 2
    assert "it has conv.conv.weight" in result.message or "there and" in result.message


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_weights_of_another_precision_are_converted(cli, small, dense, dtype):
    def change(weights):
        return {name: value.astype(dtype) for name, value in weights.items()}

    assert train(cli, small, dense(change)).status == 0


def test_weights_that_are_integers_are_refused(cli, small, dense):
    def change(weights):
        return {**weights, "conv.conv.weight": weights["conv.conv.weight"].astype("int64")}

    result = train(cli, small, dense(change))
    assert result.status == 2
    assert "conv.conv.weight is of type" in result.message


@pytest.mark.parametrize("command", ["train", "eval", "export", "infer"])
def test_a_pruned_file_without_its_sidecar_is_refused_by_a_dense_configuration(cli, small, tmp_path, command):
    config = yaml.safe_load(small.read_text())
    assert cli("train", "-c", small).status == 0
    pruned = output_prefix(tmp_path / "output", "latest")
    pruned.with_name("latest.slim.json").unlink()
    small.write_text(yaml.safe_dump({**config, "Slim": None}))
    result = cli(command, "-c", small, "-o", f"Global.pretrained_model={pruned}")
    assert result.status == 2
    assert ".slim.json is missing" in result.message


def test_weights_of_arch_pretrained_are_counted_too(cli, small, dense, tmp_path):
    fits = ("-o", f"Arch.pretrained={dense(other_classes)}")
    loaded = cli("train", "-c", small, *fits)
    assert loaded.status == 0, loaded.err
    assert "fc.weight is for 25 classes" in loaded.out
    dense(lambda weights: {**weights, "conv.conv.weight": weights["conv.conv.weight"][:4]})
    refused = cli("train", "-c", small, *fits)
    assert refused.status == 2
    assert "conv.conv.weight is [4, 3, 3, 3] there" in refused.message
    assert "Arch.pretrained: " in cli("train", "-c", small, "-o", "Arch.pretrained=no/file").message


class Runs:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize(
    ("key", "suffix"),
    [
        ("Global.pretrained_model", ".pdparams"),
        ("Arch.pretrained", ".pdparams"),
        ("Global.checkpoints", ".pdparams"),
        ("Global.checkpoints", ".pdopt"),
        ("Global.checkpoints", ".pdstates"),
    ],
)
def test_no_file_of_a_checkpoint_runs_anything(cli, small, dense, tmp_path, key, suffix):
    prefix = dense()
    paddle.save([{"LR_Scheduler": {"last_epoch": 1, "last_lr": 0.1}}], f"{prefix}.pdopt")
    paddle.save({"epoch": 1, "metric": 0.5}, f"{prefix}.pdstates")
    held = {"epoch": 1, "w": np.ones(2), "x": Runs(tmp_path / "ran")}
    prefix.with_name(f"given{suffix}").write_bytes(pickle.dumps(held))
    result = cli("train", "-c", small, "-o", f"{key}={prefix}", "-o", "Global.epochs=2")
    assert not (tmp_path / "ran").exists()
    assert result.status == 2
    assert f"given{suffix} is not loaded: it asks for posix.system" in result.message


def test_a_file_that_holds_no_weights_by_name_is_refused(cli, small, dense, tmp_path):
    prefix = dense()
    for content in ([1, 2], {"w": 3}, paddle.ones([2])):
        paddle.save(content, f"{prefix}.pdparams")
        result = cli("eval", "-c", small, "-o", f"Global.pretrained_model={prefix}")
        assert result.status == 2
        assert "given.pdparams does not hold weights by name" in result.message


def test_averaged_weights_run_nothing(cli, small, dense, tmp_path):
    from ppcls_slim import checkpoint as checkpoints
    from ppcls_slim.common.errors import SlimError

    prefix = dense()
    prefix.with_name("given.pdema").write_bytes(pickle.dumps(Runs(tmp_path / "ran")))
    with pytest.raises(SlimError, match=r"given\.pdema is not loaded"):
        checkpoints.open_checkpoint(str(prefix), "test").load(checkpoints.AVERAGED)
    assert not (tmp_path / "ran").exists()
