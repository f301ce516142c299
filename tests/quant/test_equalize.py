"""Cross-layer equalization: the network computes the same, and the ranges of both weights are alike."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.quant import prepare
from ppcls_slim.quant.equalize import equalize

pytestmark = pytest.mark.paddle26
SHAPE = [3, 8, 8]


class Separable(paddle.nn.Layer):
    """conv, depthwise, pointwise: a chain of two pairs, whose channels differ in range by a factor of 1000."""

    def __init__(self, norms=True, activation=paddle.nn.ReLU, bias=False):
        super().__init__()
        conv, norm = paddle.nn.Conv2D, paddle.nn.BatchNorm2D if norms else lambda c: paddle.nn.Identity()
        keys = {"bias_attr": None if bias else False}
        self.stem, self.norm1 = conv(3, 8, 3, padding=1, **keys), norm(8)
        self.depthwise, self.norm2 = conv(8, 8, 3, padding=1, groups=8, **keys), norm(8)
        self.pointwise = conv(8, 5, 1)
        self.act = activation()
        random = np.random.default_rng(0)
        for layer in (self.stem, self.depthwise):
            factors = 10.0 ** random.uniform(-1.5, 1.5, (8, 1, 1, 1))
            layer.weight.set_value((layer.weight.numpy() * factors).astype("float32"))
            if bias:
                layer.bias.set_value(random.standard_normal(8).astype("float32"))

    def forward(self, x):
        x = self.act(self.norm1(self.stem(x)))
        x = self.act(self.norm2(self.depthwise(x)))
        return self.pointwise(x).mean([2, 3])


@pytest.fixture
def images():
    return paddle.to_tensor(np.random.default_rng(1).standard_normal((16, *SHAPE)).astype("float32"))


def network(images, **keys):
    paddle.seed(0)
    model = Separable(**keys)
    for _ in range(30):  # running statistics that say something
        model(images)
    model.eval()
    return model


@pytest.mark.parametrize("keys", [{}, {"norms": False}, {"norms": False, "bias": True}, {"bias": True}])
def test_the_network_computes_the_same(images, keys):
    model = network(images, **keys)
    before = model(images).numpy()
    pairs = equalize(model, SHAPE)
    assert [(pair.first, pair.second) for pair in pairs] == [("stem", "depthwise"), ("depthwise", "pointwise")]
    np.testing.assert_allclose(model(images).numpy(), before, atol=1e-5 * np.abs(before).max())


def test_the_ranges_of_both_weights_are_alike(images):
    model = network(images, norms=False)
    equalize(model, SHAPE)
    stem = np.abs(model.stem.weight.numpy()).max(axis=(1, 2, 3))
    depthwise = np.abs(model.depthwise.weight.numpy()).max(axis=(1, 2, 3))
    pointwise = np.abs(model.pointwise.weight.numpy()).max(axis=(0, 2, 3))
    np.testing.assert_allclose(stem, depthwise, rtol=0.01)
    np.testing.assert_allclose(depthwise, pointwise, rtol=0.01)


def test_less_is_lost_to_one_scale_for_all_channels(images):
    errors = []
    for equalized in (False, True):
        model = network(images, norms=False)
        expected = model(images).numpy()
        settings = QuantConfig(name="qat", weight_quantize_type="abs_max", equalize=equalized, calibration_batches=1)
        prepare.quantize(model, settings, [images], model, False, SHAPE)
        model.eval()
        errors.append(np.abs(model(images).numpy() - expected).mean())
    assert errors[1] < 0.5 * errors[0]


def test_channels_that_nothing_reads_stay_as_they_are(images):
    model = network(images)
    weight = model.pointwise.weight.numpy()
    weight[:, 2] = 0
    model.pointwise.weight.set_value(weight)
    before = model(images).numpy()
    equalize(model, SHAPE)
    np.testing.assert_allclose(model(images).numpy(), before, atol=1e-5 * np.abs(before).max())


def test_a_factor_does_not_pass_other_activations(images):
    model = network(images, activation=paddle.nn.Hardswish)
    assert equalize(model, SHAPE) == []
    with pytest.raises(SlimError, match=r"Slim.quant.equalize: no convolution reads another"):
        prepare.quantize(model, QuantConfig(equalize=True), [images], model, False, SHAPE)
