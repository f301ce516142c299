"""PACT's reference against arithmetic, finite differences and Paddle's own layer."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.reference import pact


def test_the_papers_formula_is_a_clip() -> None:
    x = np.linspace(-3, 5, 81)
    np.testing.assert_allclose(pact.clip(x, 2.0), np.clip(x, 0, 2.0), atol=1e-15)


def test_two_bits_give_four_levels_from_zero_to_alpha() -> None:
    x = np.linspace(-1, 4, 1001)
    np.testing.assert_allclose(np.unique(pact.quantize(x, 3.0, 2)), [0, 1, 2, 3], atol=1e-12)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_rounding_moves_a_value_by_half_a_step_at_most(bits: int) -> None:
    x = np.random.default_rng(0).uniform(-1, 8, 500)
    error = np.abs(pact.quantize(x, 6.0, bits) - np.clip(x, 0, 6.0))
    assert error.max() <= 0.5 * 6.0 / (2**bits - 1) * (1 + 1e-12)


def test_exactly_at_alpha_the_gradient_goes_to_alpha_in_the_paper_and_to_x_in_paddleslim() -> None:
    x, upstream = np.array([2.0]), np.array([7.0])
    assert [np.sum(g) for g in pact.backward(x, 2.0, upstream)] == [0.0, 7.0]
    assert [np.sum(g) for g in pact.paddleslim_backward(x, 2.0, upstream)] == [7.0, 0.0]
    assert [np.sum(g) for g in pact.paddleslim_backward(-x, 2.0, upstream)] == [7.0, 0.0]


def test_exactly_at_zero_x_keeps_its_gradient() -> None:
    assert pact.backward(np.zeros(1), 2.0, np.ones(1))[0].tolist() == [1.0]


@pytest.mark.parametrize(
    ("function", "gradient"),
    [(pact.clip, pact.backward), (pact.paddleslim_clip, pact.paddleslim_backward)],
)
def test_gradients_agree_with_finite_differences(function, gradient) -> None:
    rng = np.random.default_rng(1)
    x, upstream, alpha, eps = rng.normal(size=200) * 3, rng.normal(size=200), 2.0, 1e-6
    to_x, to_alpha = gradient(x, alpha, upstream)
    around = [function(x + s, alpha) * upstream for s in (eps, -eps)]
    np.testing.assert_allclose(to_x, (around[0] - around[1]) / (2 * eps), atol=1e-6)
    sums = [(function(x, alpha + s) * upstream).sum() for s in (eps, -eps)]
    assert to_alpha == pytest.approx((sums[0] - sums[1]) / (2 * eps), abs=1e-5)


def test_below_minus_alpha_paddleslim_pushes_alpha_the_other_way() -> None:
    _, to_alpha = pact.paddleslim_backward(np.array([-5.0, 5.0]), 2.0, np.array([1.0, 3.0]))
    assert to_alpha == 3.0 - 1.0


def test_dorefa_levels_are_symmetric_and_reach_one() -> None:
    weight = np.random.default_rng(2).normal(size=(8, 4, 3, 3))
    levels = np.unique(np.round(pact.dorefa_weight(weight, 2), 12))
    np.testing.assert_allclose(levels, [-1, -1 / 3, 1 / 3, 1], atol=1e-12)
    assert not (levels == 0).any(), "an even number of levels has no zero"


def test_dorefa_gradient_is_that_of_the_smooth_part() -> None:
    rng = np.random.default_rng(3)
    weight, upstream, eps = rng.normal(size=(3, 2)), rng.normal(size=(3, 2)), 1e-6

    def smooth(w: np.ndarray) -> float:
        squashed = np.tanh(w)
        return float((squashed / np.abs(squashed).max() * upstream).sum())

    expected = np.zeros_like(weight)
    for index in np.ndindex(weight.shape):
        step = np.zeros_like(weight)
        step[index] = eps
        expected[index] = (smooth(weight + step) - smooth(weight - step)) / (2 * eps)
    np.testing.assert_allclose(pact.dorefa_weight_backward(weight, upstream), expected, atol=1e-7)


def test_paddleslims_layer_computes_the_same_forward_and_backward() -> None:
    pytest.importorskip("scipy", reason="SciPy is not installed")  # before Paddle 2.6
    paddle = pytest.importorskip("paddle", reason="PaddlePaddle is not installed")
    qat = pytest.importorskip(
        "paddleslim.dygraph.quant.qat", reason="PaddleSlim is not installed", exc_type=ImportError
    )
    layer = qat.PACT()
    assert layer.alpha.item() == 100.0, "PaddleSlim starts alpha at 100"
    layer.alpha.set_value(np.array([2.0], dtype="float32"))
    values = np.array([-5.0, -2.0, -1.0, 0.0, 1.0, 2.0, 5.0, 7.0], dtype="float32")
    upstream = np.arange(1, 9, dtype="float32")
    x = paddle.to_tensor(values, stop_gradient=False)
    y = layer(x)
    (y * paddle.to_tensor(upstream)).sum().backward()
    to_x, to_alpha = pact.paddleslim_backward(values, 2.0, upstream)
    np.testing.assert_array_equal(y.numpy(), pact.paddleslim_clip(values, 2.0))
    np.testing.assert_array_equal(x.grad.numpy(), to_x)
    assert layer.alpha.grad.item() == to_alpha
