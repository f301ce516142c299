"""Append operators to a program in legacy IR, as Paddle 2.6.2 did; see :mod:`.legacy_ops`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Optional, Union

Axis = Union[None, int, Sequence[int]]


def _append(kind: str, inputs: dict[str, Any], attributes: Optional[dict[str, Any]] = None, dtype: Any = None) -> Any:
    """Append one operator to the program that is being traced; return its output."""
    from paddle.base.layer_helper import LayerHelper  # start-up time: only an export to int8 needs it

    helper = LayerHelper(kind)
    output = helper.create_variable_for_type_inference(dtype or inputs["X"].dtype)
    helper.append_op(type=kind, inputs=inputs, outputs={"Out": output}, attrs=attributes or {})
    return output


def _unary(kind: str) -> Callable[..., Any]:
    return lambda x, name=None: _append(kind, {"X": x})


def _binary(kind: str) -> Callable[..., Any]:
    return lambda x, y, name=None: _append(kind, {"X": x, "Y": y}, {"axis": -1})


def _compared(kind: str) -> Callable[..., Any]:
    return lambda x, y, name=None: _append(kind, {"X": x, "Y": y}, dtype="bool")


def _axes(x: Any, axis: Axis) -> dict[str, Any]:
    axes = [axis] if isinstance(axis, int) else list(axis or [])
    everything = not axes or len(axes) == len(x.shape)
    return {"dim": axes or [0], "reduce_all": everything}


def _reduced(kind: str) -> Callable[..., Any]:
    def write(x: Any, axis: Axis = None, keepdim: bool = False, name: Any = None) -> Any:
        return _append(kind, {"X": x}, {**_axes(x, axis), "keep_dim": keepdim})

    return write


def _sum(x: Any, axis: Axis = None, dtype: Any = None, keepdim: bool = False, name: Any = None) -> Any:
    total = _append("reduce_sum", {"X": x}, {**_axes(x, axis), "keep_dim": keepdim})
    return total if dtype is None else total.astype(dtype)


def _logsumexp(x: Any, axis: Axis = None, keepdim: bool = False, name: Any = None) -> Any:
    options = _axes(x, axis)
    return _append("logsumexp", {"X": x}, {"axis": options.pop("dim"), "keepdim": keepdim, **options})


def _matmul(x: Any, y: Any, transpose_x: bool = False, transpose_y: bool = False, name: Any = None) -> Any:
    return _append("matmul_v2", {"X": x, "Y": y}, {"trans_x": transpose_x, "trans_y": transpose_y})


def _expand_as(x: Any, y: Any, name: Any = None) -> Any:
    return _append("expand_as_v2", {"X": x, "Y": y}, {"target_shape": list(y.shape)})


def _roll(x: Any, shifts: Any, axis: Axis = None, name: Any = None) -> Any:
    numbers = [[value] if isinstance(value, int) else list(value or []) for value in (shifts, axis)]
    return _append("roll", {"X": x}, {"shifts": numbers[0], "axis": numbers[1]})


def _gelu(x: Any, approximate: Any = False, name: Any = None) -> Any:
    return _append("gelu", {"X": x}, {"approximate": approximate in (True, "tanh")})


def _softplus(x: Any, beta: float = 1, threshold: float = 20, name: Any = None) -> Any:
    return _append("softplus", {"X": x}, {"beta": float(beta), "threshold": float(threshold)})


# Operators of the same name with one input and one output.
_TRIGONOMETRIC = ("acos", "acosh", "asin", "atanh", "cos", "cosh", "sin", "sinh", "tanh")
_ELEMENTWISE = (
    "abs",
    "ceil",
    "exp",
    "expm1",
    "floor",
    "log",
    "log10",
    "log1p",
    "log2",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sqrt",
)

WRITERS: dict[str, Callable[..., Any]] = {
    **{name: _unary(name) for name in (*_TRIGONOMETRIC, *_ELEMENTWISE)},
    "multiply": _binary("elementwise_mul"),
    "maximum": _binary("elementwise_max"),
    "minimum": _binary("elementwise_min"),
    "bmm": lambda x, y, name=None: _append("bmm", {"X": x, "Y": y}),
    "greater_than": _compared("greater_than"),
    "logical_and": _compared("logical_and"),
    "logical_or": _compared("logical_or"),
    "amax": _reduced("reduce_amax"),
    "amin": _reduced("reduce_amin"),
    "sum": _sum,
    "logsumexp": _logsumexp,
    "matmul": _matmul,
    "expand_as": _expand_as,
    "roll": _roll,
    "gelu": _gelu,
    "softplus": _softplus,
}
