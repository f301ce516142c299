"""Zero paddings become those of the convolutions behind them, in float and in int8."""

from __future__ import annotations

import numpy as np
import pytest
from test_onednn import operators
from test_optimized_program import exported

from ppcls_slim.compat.onednn import export_time
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.deploy import paddle_inference as runtime

pytestmark = pytest.mark.paddle26

IMAGES = np.random.default_rng(1).standard_normal((2, 3, 17, 16)).astype("float32")
PADS = {"pad", "pad3d"}
nn = paddle.nn


class Padded(nn.Layer):
    """Paddings of three kinds before a convolution and two strided depthwise ones, as in EfficientNet-Lite."""

    def __init__(self):
        super().__init__()
        self.pad, self.stem = nn.Pad2D([0, 1, 2, 1]), nn.Conv2D(3, 8, 3, stride=2)
        self.zeros, self.depthwise = (
            nn.ZeroPad2D([1, 0, 0, 1]),
            nn.Conv2D(8, 8, 3, stride=2, groups=8, padding=(0, 1)),
        )
        self.last, self.linear = nn.Conv2D(8, 8, 5, stride=2, groups=8, padding=[1, 2, 1, 2]), nn.Linear(8, 5)

    def forward(self, x):
        x = nn.functional.relu6(self.stem(self.pad(x)))
        x = nn.functional.relu6(self.depthwise(self.zeros(x)))
        x = nn.functional.relu6(self.last(nn.functional.pad(x, [0, 1, 0, 1])))
        return self.linear(x.mean([2, 3]))


class Ones(Padded):
    """Padded with something else than zeros."""

    def __init__(self):
        super().__init__()
        self.pad = nn.Pad2D([0, 1, 2, 1], value=1.0)


class ReadTwice(Padded):
    """A padding that not only a convolution reads."""

    def forward(self, x):
        padded = self.pad(x)
        return self.stem(padded).mean([2, 3]) + padded.mean([1, 2, 3]).unsqueeze(1)


class PaddedOnce(nn.Layer):
    """A convolution that reads a feature map with and without a padding."""

    def __init__(self):
        super().__init__()
        self.pad, self.shared, self.linear = nn.Pad2D([1, 2, 0, 1]), nn.Conv2D(3, 8, 3, 2, padding=1), nn.Linear(8, 5)

    def forward(self, x):
        padded, plain = (nn.functional.relu6(self.shared(one)).mean([2, 3]) for one in (self.pad(x), x))
        return self.linear(padded + plain)


def paddings_of(model):
    convolutions = [layer for layer in model.sublayers() if isinstance(layer, nn.Conv2D)]
    return [(layer._padding, layer._updated_padding, len(layer._forward_pre_hooks)) for layer in convolutions]


@pytest.mark.parametrize(("kind", "remain"), [(Padded, False), (Ones, True), (ReadTwice, True), (PaddedOnce, False)])
def test_float_exports_compute_the_same(kind, remain, tmp_path):
    paddle.seed(0)
    model = kind()
    model.eval()
    expected = model(paddle.to_tensor(IMAGES)).numpy()
    paddings = paddings_of(model)
    runtime.save(model, IMAGES.shape[1:], tmp_path)
    assert paddings_of(model) == paddings
    assert bool(PADS & operators(tmp_path)) == remain
    for onednn in (True, False):
        found = runtime.Predictor(tmp_path, onednn=onednn)(IMAGES)
        np.testing.assert_allclose(found, expected, atol=1e-6)


def test_int8_stays_equal_to_fake_quant(tmp_path, ppcls_root):
    expected, run = exported(Padded, tmp_path, IMAGES)
    assert not PADS & operators(tmp_path)
    assert (run.int8_layers, run.layers) == (4, 4)
    assert np.linalg.norm(run(IMAGES) - expected) < 0.05 * np.linalg.norm(expected)


def test_two_paddings_of_one_convolution_stay_apart(tmp_path, ppcls_root):
    expected, run = exported(PaddedOnce, tmp_path, IMAGES)
    assert np.linalg.norm(run(IMAGES) - expected) < 0.05 * np.linalg.norm(expected)


def test_without_the_patch_paddings_remain(tmp_path, monkeypatch):
    from contextlib import nullcontext

    monkeypatch.setattr(export_time, "paddings_of_convolutions", nullcontext)
    runtime.save(Padded(), IMAGES.shape[1:], tmp_path)
    assert PADS & operators(tmp_path)


@pytest.mark.parametrize(("size", "kernel"), [(32, 3), (33, 3), (32, 5), (31, 5)])
def test_efficientnet_pads_no_more_than_it_needs(size, kernel, tmp_path, ppcls_root):
    from ppcls_slim.compat.paddleclas.engine import load_engine

    load_engine()
    from ppcls.arch.backbone.model_zoo.efficientnet import Conv2ds  # after load_engine

    stage = {"model_name": "b0", "cur_stage": 0, "name": f"conv{size}x{kernel}"}
    block = Conv2ds(3, 8, kernel, stride=2, padding_type="SAME", act="swish", **stage)
    assert block.need_crop, "the first stage of EfficientNetB0 is 224 wide"
    model = nn.Sequential(block, nn.BatchNorm2D(8))
    model.eval()
    images = np.random.default_rng(0).standard_normal((2, 3, size, size)).astype("float32")
    expected = model(paddle.to_tensor(images)).numpy()
    runtime.save(model, images.shape[1:], tmp_path)
    assert "slice" not in operators(tmp_path)
    assert block.need_crop
    found = runtime.Predictor(tmp_path)(images)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())
