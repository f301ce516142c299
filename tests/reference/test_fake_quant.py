"""Fake quantization's reference against arithmetic and against Paddle's operators."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.reference import fake_quant


def test_halves_are_rounded_away_from_zero() -> None:
    x = np.array([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5])
    assert fake_quant.round_half_away(x).tolist() == [-3, -2, -1, 1, 2, 3]


def test_the_largest_magnitude_survives_exactly_and_zeros_stay_zero() -> None:
    y, scale = fake_quant.abs_max(np.array([0.3, -1.7, 0.0]))
    assert scale == 1.7
    assert y[1] == pytest.approx(-1.7, rel=1e-15)
    assert y[2] == 0.0
    assert fake_quant.abs_max(np.zeros(3))[0].tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_what_follows_a_relu_uses_only_half_of_the_signed_grid(bits: int) -> None:
    y, _ = fake_quant.abs_max(np.linspace(0, 1, 2000), bits)
    assert len(np.unique(y)) == 2 ** (bits - 1)


def test_channels_are_quantized_one_by_one() -> None:
    sizes = np.array([1, 100, 0.01]).reshape(3, 1, 1, 1)
    weight = np.random.default_rng(0).normal(size=(3, 2, 3, 3)) * sizes
    y, scales = fake_quant.channel_wise_abs_max(weight)
    for channel in range(3):
        alone, scale = fake_quant.abs_max(weight[channel])
        np.testing.assert_allclose(y[channel], alone)
        assert scales[channel] == scale


def test_moving_average_starts_from_one_and_clips_what_is_above_it() -> None:
    average = fake_quant.MovingAverageAbsMax()
    y = average.train(np.array([1.0, -2.0, 3.0]))
    assert average.scale == pytest.approx((0.9 * 1 + 3) / (0.9 * 1 + 1))
    assert y[2] == pytest.approx(average.scale)
    assert average.eval(np.array([100.0]))[0] == pytest.approx(average.scale)


def _layers():
    pytest.importorskip("scipy", reason="SciPy is not installed")  # before Paddle 2.6
    paddle = pytest.importorskip("paddle", reason="PaddlePaddle is not installed")
    from paddle.nn.quant import quant_layers

    return paddle, quant_layers


@pytest.mark.parametrize("bits", [3, 8])
def test_paddle_abs_max_is_the_same(bits: int) -> None:
    paddle, layers = _layers()
    values = np.array([0.5, 1.5, 2.5, -0.5, -1.5, 2.0 ** (bits - 1) - 1], dtype="float32")
    x = paddle.to_tensor(values, stop_gradient=False)
    y = layers.FakeQuantAbsMax(quant_bits=bits)(x)
    (y * 3.0).sum().backward()
    np.testing.assert_allclose(y.numpy(), fake_quant.abs_max(values, bits)[0], rtol=1e-6)
    np.testing.assert_array_equal(x.grad.numpy(), fake_quant.backward(np.full(6, 3.0)))


@pytest.mark.parametrize("axis", [0, 1])
def test_paddle_channel_wise_abs_max_is_the_same(axis: int) -> None:
    paddle, layers = _layers()
    values = np.random.default_rng(1).normal(size=(4, 3, 2, 2)[: 4 - 2 * axis]).astype("float32")
    values[0] = 0.0 if axis == 0 else values[0]
    layer = layers.FakeQuantChannelWiseAbsMax(channel_num=values.shape[axis], quant_axis=axis, quant_on_weight=True)
    expected, _ = fake_quant.channel_wise_abs_max(values, axis=axis)
    np.testing.assert_allclose(layer(paddle.to_tensor(values)).numpy(), expected, rtol=1e-5, atol=1e-7)


def test_paddle_moving_average_is_the_same_and_passes_gradients_through_the_clip() -> None:
    paddle, layers = _layers()
    layer, average = layers.FakeQuantMovingAverageAbsMax(moving_rate=0.9), fake_quant.MovingAverageAbsMax()
    rng = np.random.default_rng(2)
    for size in (1.0, 10.0, 0.1):
        values = (rng.normal(size=(4, 5)) * size).astype("float32")
        x = paddle.to_tensor(values, stop_gradient=False)
        y = layer(x)
        y.sum().backward()
        np.testing.assert_allclose(y.numpy(), average.train(values), rtol=1e-4, atol=1e-6)
        np.testing.assert_array_equal(x.grad.numpy(), np.ones((4, 5)))
    layer.eval()
    far = np.array([100.0, -100.0, 0.01], dtype="float32")
    np.testing.assert_allclose(layer(paddle.to_tensor(far)).numpy(), average.eval(far), rtol=1e-4, atol=1e-6)
