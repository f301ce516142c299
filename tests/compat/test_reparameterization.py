"""Blocks that train with branches: merged before they are exported or quantized, and the same afterwards."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from conftest import output_prefix
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.reparameterization import METHODS, merge_branches
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.quant import prepare

pytestmark = pytest.mark.paddle26

nn = paddle.nn


class Branches(nn.Layer):
    """MobileOne's block in small: a 3x3 and a 1x1 branch, normalized and added."""

    def __init__(self, channels=3):
        super().__init__()
        self.three, self.one = nn.Conv2D(channels, 8, 3, padding=1), nn.Conv2D(channels, 8, 1)
        self.norms = nn.LayerList([nn.BatchNorm2D(8), nn.BatchNorm2D(8)])
        self.merged = None

    def forward(self, x):
        if self.merged is not None:
            return nn.functional.relu(self.merged(x))
        return nn.functional.relu(self.norms[0](self.three(x)) + self.norms[1](self.one(x)))

    def re_parameterize(self):
        merged = nn.Conv2D(self.three.weight.shape[1], 8, 3, padding=1)
        weight, bias = 0, 0
        for conv, norm in zip((self.three, self.one), self.norms):
            factor = norm.weight / paddle.sqrt(norm._variance + norm._epsilon)
            kernel = conv.weight if conv is self.three else nn.functional.pad(conv.weight, [1, 1, 1, 1])
            weight = weight + kernel * factor.reshape([-1, 1, 1, 1])
            bias = bias + (conv.bias - norm._mean) * factor + norm.bias
        merged.weight.set_value(weight)
        merged.bias.set_value(bias)
        self.merged = merged


class MobileOneLike(nn.Layer):
    def __init__(self, class_num=10):
        super().__init__()
        self.blocks = nn.Sequential(Branches(3), Branches(8))
        self.pool, self.fc = nn.AdaptiveAvgPool2D(1), nn.Linear(8, class_num)

    def forward(self, x):
        return self.fc(self.pool(self.blocks(x)).flatten(1))


@pytest.fixture
def images():
    return paddle.to_tensor(np.random.default_rng(0).standard_normal((4, 3, 32, 32)).astype("float32"))


def network(name, images):
    """With running statistics that say something."""
    from ppcls_slim.compat.paddleclas.engine import load_engine

    load_engine()
    import ppcls.arch

    paddle.seed(0)
    model = {"MobileOneLike": MobileOneLike}.get(name) or getattr(ppcls.arch, name)
    model = model(class_num=10)
    with paddle.no_grad():
        for _ in range(2):
            model(images)
    return model


def blocks_of(model):
    return [layer for layer in model.sublayers() if any(hasattr(layer, method) for method in METHODS)]


@pytest.mark.parametrize("name", ["RepVGG_A0", "PPLCNetV2_base", "MobileOneLike"])
def test_merging_changes_nothing_but_rounding(name, images):
    model = network(name, images)
    model.eval()
    before = model(images).numpy()
    assert len(merge_branches(model)) == len(blocks_of(model)) > 0
    np.testing.assert_allclose(model(images).numpy(), before, atol=1e-4 * np.abs(before).max())
    assert merge_branches(model) == []  # nothing is left to merge


@pytest.mark.parametrize("calibration_batches", [0, 1])
def test_what_was_merged_is_not_quantized(images, calibration_batches):
    model = network("MobileOneLike", images)
    settings = QuantConfig(calibration_batches=calibration_batches, pact={"alpha": 2.0})
    record = prepare.quantize(model, settings, [(images,)], lambda batch: model(batch[0]))
    assert set(record.layers) == {"blocks.0.merged", "blocks.1.merged", "fc"}
    assert record.skipped_layers["blocks.0.one"] == "never run"


@pytest.fixture
def mobile_one(small):
    """The small configuration with the network above."""
    import ppcls.arch

    config = yaml.safe_load(small.read_text())
    config["Arch"] = {"name": "MobileOneLike", "class_num": 10}
    ppcls.arch.MobileOneLike = MobileOneLike
    small.write_text(yaml.safe_dump(config))
    yield small
    del ppcls.arch.MobileOneLike


def test_from_a_float_checkpoint_to_int8(cli, mobile_one, tmp_path, digits):
    """The float checkpoint has branches, the quantized one has none; both are exported and checked."""
    floats = ("-o", "Slim=None", "-o", f"Global.output_dir={tmp_path / 'float'}")
    assert cli("train", "-c", mobile_one, *floats).status == 0
    prefix = output_prefix(tmp_path / "float", "latest")
    given = ("-o", f"Global.pretrained_model={prefix}")
    exported = cli("export", "-c", mobile_one, "-o", "Slim=None", *given)
    assert exported.status == 0, exported.err
    assert "same top-1 on 100.0 %" in exported.out
    quant = ("-o", "Slim.prune=False", "-o", "Slim.quant.name=pact", "-o", "Slim.quant.calibration_batches=2")
    trained = cli("train", "-c", mobile_one, *quant, *given)
    assert trained.status == 0, trained.err
    assert "blocks.0.one stays float: never run" in trained.out
    prefix = output_prefix(tmp_path / "output", "latest")
    exported = cli("export", "-c", mobile_one, "-o", "Slim=None", "-o", f"Global.pretrained_model={prefix}")
    assert exported.status == 0, exported.err
    runs = json.loads((tmp_path / "inference/inference.slim.json").read_text())["verified"]["runs"]
    assert runs["exported, plain"]["same_as_fake_quant"] >= 0.9
    assert cli("predict", "--model-dir", tmp_path / "inference", "--images", digits / "images/test").status == 0
