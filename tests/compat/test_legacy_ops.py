"""Functions that Paddle 3.3 traces into PIR only, written into legacy IR and run from it."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.legacy_op_writers import WRITERS
from ppcls_slim.compat.legacy_ops import traced_into_legacy_ir
from ppcls_slim.compat.legacy_program import legacy_ir
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.skipif(paddle.__version__.startswith("2."), reason="Paddle 2.6 writes all of them itself")

functional = paddle.nn.functional
positive = [name for name in ("acosh", "log", "log10", "log1p", "log2", "rsqrt", "sqrt") if name in WRITERS]
CALLS = {
    **{name: (lambda x, name=name: getattr(paddle, name)(x + 3)) for name in positive},
    **{name: (lambda x, name=name: getattr(paddle, name)(x / 4)) for name in ("acos", "asin", "atanh")},
    **{
        name: (lambda x, name=name: getattr(paddle, name)(x))
        for name in ("abs", "ceil", "cos", "cosh", "exp", "expm1", "floor", "round", "sign", "sin", "sinh", "tanh")
    },
    "sigmoid": functional.sigmoid,
    "multiply": lambda x: paddle.multiply(x, x.mean(axis=[2], keepdim=True)),
    "maximum": lambda x: paddle.maximum(x, -x[:, :1]),
    "minimum": lambda x: paddle.minimum(x, -x),
    "bmm": lambda x: paddle.bmm(x, x.transpose([0, 2, 1])),
    "greater_than": lambda x: paddle.greater_than(x, -x).astype("float32"),
    "logical_and": lambda x: paddle.logical_and(x < 0.5, x > -0.5).astype("float32"),
    "logical_or": lambda x: paddle.logical_or(x > 0.5, x < -0.5).astype("float32"),
    "amax": lambda x: paddle.amax(x, axis=[1, 2]),
    "amin": lambda x: paddle.amin(x, 1, keepdim=True),
    "sum": lambda x: paddle.sum(x, axis=-1, keepdim=True) + x.sum(),
    "logsumexp": lambda x: paddle.logsumexp(x, axis=1, keepdim=True),
    "matmul": lambda x: paddle.matmul(x, x, transpose_y=True),
    "expand_as": lambda x: paddle.expand_as(x[:1], x) + x,
    "roll": lambda x: paddle.roll(x, shifts=(-1, 2), axis=(1, 2)),
    "gelu": lambda x: functional.gelu(x) + functional.gelu(x, approximate=True),
    "softplus": lambda x: functional.softplus(x, beta=2),
}


class Network(paddle.nn.Layer):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.one = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(1.0))

    def forward(self, x):
        return self.function(x) * self.one  # a program without parameters cannot be loaded


def saved(function, path):
    """Trace a function of one tensor into legacy IR, and load that."""

    paddle.disable_static()  # PaddleSlim and old releases leave it on
    network = Network(function)
    spec = paddle.static.InputSpec([3, 4, 5], "float32")
    with legacy_ir(), traced_into_legacy_ir():
        paddle.jit.save(paddle.jit.to_static(network, input_spec=[spec], full_graph=True), str(path))
    config = paddle.inference.Config(f"{path}.pdmodel", f"{path}.pdiparams")
    config.disable_glog_info()
    return paddle.inference.create_predictor(config)


def test_every_function_that_is_written_is_tested():
    assert set(CALLS) == set(WRITERS)


@pytest.mark.parametrize("name", sorted(CALLS))
def test_an_old_program_computes_what_the_function_does(name, tmp_path):
    x = np.random.default_rng(0).uniform(-1.9, 1.9, (3, 4, 5)).astype(np.float32)
    predictor = saved(CALLS[name], tmp_path / "program")
    (found,) = predictor.run([paddle.to_tensor(x)])
    expected = CALLS[name](paddle.to_tensor(x))
    np.testing.assert_allclose(found.numpy(), np.broadcast_to(expected.numpy(), found.shape), rtol=1e-5, atol=1e-5)


def product(x):
    return x.matmul(x.transpose([0, 2, 1]))


def test_a_method_in_code_that_tracing_translates(tmp_path):
    x = np.random.default_rng(0).uniform(-1.9, 1.9, (3, 4, 5)).astype(np.float32)
    (found,) = saved(product, tmp_path / "program").run([paddle.to_tensor(x)])
    np.testing.assert_allclose(found.numpy(), x @ x.transpose(0, 2, 1), rtol=1e-5, atol=1e-5)


def test_a_function_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(SlimError, match=r"calls paddle\.logical_xor, which Paddle 3.*Paddle 2\.6\.2 can"):
        saved(lambda x: paddle.logical_xor(x > 0, x < 1).astype("float32"), tmp_path / "program")
