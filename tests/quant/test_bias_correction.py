"""Bias correction: quantized layers give the mean output that they gave before."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.quant import prepare
from ppcls_slim.quant.bias_correction import mean_outputs

pytestmark = pytest.mark.paddle26
LAYERS = ("first", "second", "last")


class Small(paddle.nn.Layer):
    """A convolution with normalization, one with a bias, and a linear layer."""

    def __init__(self):
        super().__init__()
        self.first, self.norm = paddle.nn.Conv2D(3, 8, 3, bias_attr=False), paddle.nn.BatchNorm2D(8)
        self.second = paddle.nn.Conv2D(8, 8, 3)
        self.last = paddle.nn.Linear(8, 4)

    def forward(self, x):
        relu = paddle.nn.functional.relu
        x = relu(self.second(relu(self.norm(self.first(x)))))
        return self.last(x.mean([2, 3]))


@pytest.fixture
def batches():
    random = np.random.default_rng(0)
    return [paddle.to_tensor(random.standard_normal((8, 3, 8, 8)).astype("float32")) for _ in range(2)]


def quantized(batches, **keys):
    """Means of the float network, and the network in 3 bits, where rounding errors are large."""
    paddle.seed(0)
    model = Small()
    for _ in range(30):
        model(batches[0])
    model.eval()
    layers = {name: getattr(model, name) for name in LAYERS}
    before = mean_outputs(model, layers, batches, model)
    bits = {"weight_bits": 3, "activation_bits": 3}
    prepare.quantize(model, QuantConfig(name="qat", calibration_batches=2, **bits, **keys), batches, model, False)
    return before, model


def mean_errors(batches, **keys):
    """Largest error of the mean of a channel, as the next layer sees it, over all batches; by layer."""
    before, model = quantized(batches, **keys)
    after = mean_outputs(model, {name: getattr(model, name) for name in LAYERS}, batches, model)
    errors = {name: np.mean(after[name], axis=0) - np.mean(before[name], axis=0) for name in LAYERS}
    uncorrected = quantized(batches)[1].norm._mean.numpy()
    errors["first"] = errors["first"] - (model.norm._mean.numpy() - uncorrected)  # what normalization subtracts
    return {name: float(np.abs(error).max()) for name, error in errors.items()}


def test_every_layer_has_a_smaller_mean_error(batches):
    without, corrected = mean_errors(batches), mean_errors(batches, bias_correction=True)
    for name in LAYERS:
        assert corrected[name] < 0.3 * without[name], name


def test_one_batch_is_corrected_exactly(batches):
    corrected = mean_errors(batches[:1], bias_correction=True)
    without = mean_errors(batches[:1])
    assert corrected["first"] < 1e-5
    assert corrected["second"] < 1e-5
    assert corrected["last"] < 1e-5 < without["last"]


def test_logits_are_nearer_to_those_of_the_float_network(batches):
    errors = []
    for correction in (False, True):
        before, model = quantized(batches, bias_correction=correction)
        after = mean_outputs(model, {"last": model.last}, batches, model)
        errors.append(np.abs(np.subtract(after["last"], before["last"])).mean())
    assert errors[1] < errors[0]
