"""Both PACT forms against the float64 reference: values, gradients, and x exactly at the clipping level."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.quant.pact_layers import Pact, PactQuantizer, one_sided, rectified, two_sided
from ppcls_slim.reference import pact as reference

pytestmark = pytest.mark.paddle26
ALPHA = 1.5


@pytest.fixture
def x():
    """Values on both sides, and exactly 0, alpha and -alpha."""
    values = np.random.default_rng(0).normal(scale=1.5, size=(3, 4, 5))
    values.reshape(-1)[:6] = [ALPHA, -ALPHA, 0.0, ALPHA, -ALPHA, 0.0]
    return values


@pytest.fixture
def upstream():
    return np.random.default_rng(1).normal(size=(3, 4, 5))


def gradients(function, x, upstream):
    inputs = paddle.to_tensor(x, dtype="float64", stop_gradient=False)
    alpha = paddle.to_tensor([ALPHA], dtype="float64", stop_gradient=False)
    output = function(inputs, alpha)
    (output * paddle.to_tensor(upstream)).sum().backward()
    return output.numpy(), inputs.grad.numpy(), alpha.grad.numpy()


def test_two_sided_is_paddleslims_clip(x, upstream):
    output, to_x, to_alpha = gradients(two_sided, x, upstream)
    expected_x, expected_alpha = reference.paddleslim_backward(x, ALPHA, upstream)
    np.testing.assert_array_equal(output, reference.paddleslim_clip(x, ALPHA))
    np.testing.assert_array_equal(to_x, expected_x)
    np.testing.assert_allclose(to_alpha, [expected_alpha], rtol=1e-13)


def test_rectified_is_two_sided_where_nothing_is_below_minus_alpha(x, upstream):
    above = np.maximum(x, -ALPHA)
    for ours, expected in zip(gradients(rectified, above, upstream), gradients(two_sided, above, upstream)):
        np.testing.assert_array_equal(ours, expected)


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_one_sided_is_the_papers_quantizer(x, upstream, bits):
    output, to_x, to_alpha = gradients(lambda a, b: one_sided(a, b, bits), x, upstream)
    expected_x, expected_alpha = reference.backward(x, ALPHA, upstream)
    np.testing.assert_allclose(output, reference.quantize(x, ALPHA, bits), rtol=1e-14, atol=1e-15)
    np.testing.assert_array_equal(to_x, expected_x)
    np.testing.assert_allclose(to_alpha, [expected_alpha], rtol=1e-13)


def test_at_alpha_the_paper_gives_the_gradient_to_alpha_and_paddleslim_to_x():
    at = np.full((2,), ALPHA)
    one = np.ones(2)
    assert [g.tolist() for g in gradients(two_sided, at, one)[1:]] == [[1.0, 1.0], [0.0]]
    assert [g.tolist() for g in gradients(lambda a, b: one_sided(a, b, 8), at, one)[1:]] == [[0.0, 0.0], [2.0]]


def test_two_sided_equals_paddleslims_layer():
    from ppcls_slim.compat.paddleslim import load_paddleslim

    load_paddleslim()
    from paddleslim.dygraph.quant.qat import PACT

    theirs, ours = PACT(), Pact("here", alpha=0.7)
    theirs.alpha.set_value(paddle.full([1], 0.7))
    results = []
    for layer in (theirs, ours):
        x = paddle.to_tensor(np.linspace(-2, 2, 41, dtype=np.float32), stop_gradient=False)
        (layer(x) ** 2).sum().backward()
        results.append((x.grad.numpy(), layer.alpha.grad.numpy()))
    np.testing.assert_allclose(results[1][0], results[0][0], rtol=1e-6)
    np.testing.assert_allclose(results[1][1], results[0][1], rtol=1e-6)


@pytest.mark.parametrize("kind", [Pact, PactQuantizer])
def test_alpha_has_its_own_learning_rate_and_weight_decay(kind):
    """One step of SGD with a zero gradient: only the decay of alpha acts, with its multiplied rate."""
    layer = kind("here", alpha=2.0, learning_rate=10.0, weight_decay=0.1)
    optimizer = paddle.optimizer.SGD(0.01, parameters=layer.parameters(), weight_decay=0.5)
    (0 * layer(paddle.to_tensor(np.zeros(3, np.float32), stop_gradient=False)).sum()).backward()
    optimizer.step()
    assert layer.alpha.item() == pytest.approx(2.0 - 10 * 0.01 * 0.1 * 2.0)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan")])
def test_an_alpha_that_ran_away_stops_training_with_the_layers_name(value):
    layer = Pact("blocks.3.conv")
    layer.alpha.set_value(paddle.full([1], value))
    with pytest.raises(SlimError, match=r"alpha of blocks\.3\.conv ran to"):
        layer(paddle.ones([2]))
