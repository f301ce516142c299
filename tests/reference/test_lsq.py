"""LSQ's reference against arithmetic and finite differences, and Paddle's layers against the reference."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.reference import lsq as reference


def test_two_signed_bits_are_minus_two_to_one_and_unsigned_ones_zero_to_three() -> None:
    assert reference.levels(2) == (2, 1)
    assert reference.levels(2, unsigned=True) == (0, 3)
    assert reference.levels(4) == (8, 7)


@pytest.mark.paddle26
def test_eight_bits_are_those_of_engines_where_weights_are_symmetric() -> None:
    from ppcls_slim.quant.lsq_layers import LsqQuantizer, LsqWeightQuantizer

    one = np.ones(1)
    quantizers = [LsqQuantizer("", 8, False, one), LsqQuantizer("", 8, True, one), LsqWeightQuantizer("", 8, one, 0)]
    assert [(each.negative, each.positive) for each in quantizers] == [(128, 127), (0, 255), (127, 127)]


def test_values_are_multiples_of_the_step_and_clipped_at_both_ends() -> None:
    v = np.linspace(-3, 3, 1001)
    np.testing.assert_allclose(np.unique(reference.quantize(v, 0.5, 2, 1)), [-1.0, -0.5, 0.0, 0.5])


def test_the_derivative_to_the_step_grows_towards_transitions_as_in_figure_2() -> None:
    v = np.array([-9.0, 0.2, 0.49, 0.51, 1.0, 9.0])
    found = reference.step_derivative(v, 1.0, 4, 3)
    np.testing.assert_allclose(found, [-4.0, -0.2, -0.49, 0.49, 0.0, 3.0])


def test_the_derivative_outside_agrees_with_finite_differences() -> None:
    """Inside, the straight-through estimator is on purpose not the derivative of the staircase."""
    v, eps = np.array([-9.0, -5.0, 7.0, 30.0]), 1e-6
    difference = (reference.quantize(v, 1 + eps, 4, 3) - reference.quantize(v, 1 - eps, 4, 3)) / (2 * eps)
    np.testing.assert_allclose(reference.step_derivative(v, 1.0, 4, 3), difference, rtol=1e-6)


def test_the_derivative_inside_is_that_of_rounding_with_a_gradient_of_one() -> None:
    """``s * (v / s + r)`` with the rounding error ``r`` held constant: its derivative is ``r``."""
    v, step, eps = np.array([0.3, -1.7, 1.4]), 0.8, 1e-6
    rounding = np.round(v / step) - v / step
    difference = [(s * np.clip(v / s + rounding, -4, 3)) for s in (step + eps, step - eps)]
    expected = (difference[0] - difference[1]) / (2 * eps)
    np.testing.assert_allclose(reference.step_derivative(v, step, 4, 3), expected, rtol=1e-6, atol=1e-8)


def test_a_gradient_is_summed_over_what_shares_a_step() -> None:
    rng = np.random.default_rng(0)
    v, upstream, step = rng.normal(size=(3, 4, 2)), rng.normal(size=(3, 4, 2)), np.full((3, 1, 1), 0.4)
    to_v, to_step = reference.backward(v, step, 4, 3, upstream, scale=0.5)
    each = reference.step_derivative(v, step, 4, 3) * upstream
    np.testing.assert_allclose(to_step.ravel(), 0.5 * each.sum(axis=(1, 2)))
    inside = (v / step > -4) & (v / step < 3)
    np.testing.assert_array_equal(to_v, upstream * inside)


def test_the_step_of_a_half_normal_input_covers_most_of_it() -> None:
    v = np.abs(np.random.default_rng(1).normal(size=100_000))
    step = reference.initial_step(float(v.mean()), positive=15)
    assert step == pytest.approx(2 * np.sqrt(2 / np.pi) / np.sqrt(15), rel=0.01)
    assert 15 * step > np.quantile(v, 0.999)


CASES = [(bits, unsigned) for bits in (2, 3, 4, 8) for unsigned in (False, True)]


@pytest.mark.paddle26
@pytest.mark.parametrize(("bits", "unsigned"), CASES)
def test_paddles_quantizer_of_inputs_gives_the_values_and_gradients_of_the_reference(bits, unsigned) -> None:
    from ppcls_slim.compat.paddle import paddle
    from ppcls_slim.quant.lsq_layers import LsqQuantizer

    rng = np.random.default_rng(bits)
    x, upstream, step = rng.normal(size=(6, 5, 4, 3)), rng.normal(size=(6, 5, 4, 3)), 0.37
    layer = LsqQuantizer("here", bits, unsigned, np.array([step])).to(dtype="float64")
    layer.step.set_value(np.array([step]))
    inputs = paddle.to_tensor(x, stop_gradient=False)
    output = layer(inputs)
    (output * paddle.to_tensor(upstream)).sum().backward()
    negative, positive = reference.levels(bits, unsigned)
    scale = reference.gradient_scale(5 * 4 * 3, positive)
    to_x, to_step = reference.backward(x, step, negative, positive, upstream, scale)
    np.testing.assert_array_equal(output.numpy(), reference.quantize(x, step, negative, positive))
    np.testing.assert_allclose(inputs.grad.numpy(), to_x, rtol=1e-12)
    np.testing.assert_allclose(layer.step.grad.numpy(), [to_step], rtol=1e-12)


@pytest.mark.paddle26
@pytest.mark.parametrize("bits", [2, 4, 8])
@pytest.mark.parametrize("axis", [0, 1, None])
def test_paddles_quantizer_of_weights_gives_the_values_and_gradients_of_the_reference(bits, axis) -> None:
    from ppcls_slim.compat.paddle import paddle
    from ppcls_slim.quant.lsq_layers import LsqWeightQuantizer, initial_steps

    rng = np.random.default_rng(bits)
    weight, upstream = rng.normal(size=(6, 4, 3, 3)), rng.normal(size=(6, 4, 3, 3))
    negative, positive = reference.levels(bits) if bits < 8 else (127, 127)
    shape = [weight.shape[axis] if one == axis else 1 for one in range(4)]
    others = tuple(one for one in range(4) if one != axis)
    steps = reference.initial_step(np.abs(weight).mean(axis=others).reshape(shape), positive)
    np.testing.assert_allclose(initial_steps(weight, axis, bits), np.ravel(steps), rtol=1e-12)
    layer = LsqWeightQuantizer("here", bits, np.ravel(steps), axis).to(dtype="float64")
    layer.step.set_value(np.ravel(steps))
    parameter = paddle.to_tensor(weight, stop_gradient=False)
    output = layer(parameter)
    (output * paddle.to_tensor(upstream)).sum().backward()
    scale = reference.gradient_scale(weight.size // np.size(steps), positive)
    to_weight, to_steps = reference.backward(weight, steps, negative, positive, upstream, scale)
    np.testing.assert_array_equal(output.numpy(), reference.quantize(weight, steps, negative, positive))
    np.testing.assert_allclose(parameter.grad.numpy(), to_weight, rtol=1e-12)
    np.testing.assert_allclose(layer.step.grad.numpy(), np.ravel(to_steps), rtol=1e-11)
