"""Operations on single elements and on pairs of elements."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import numpy as np

from ....graph.program import Operation, Tensor
from ..flow import Flow
from ..labels import Axis
from ..registry import rule, unknown
from .common import channel_axis, number

_ZERO_STAYS_ZERO = (
    "relu",
    "relu6",
    "leaky_relu",
    "gelu",
    "silu",
    "swish",
    "hardswish",
    "hard_swish",
    "mish",
    "tanh",
    "elu",
    "selu",
    "celu",
    "softsign",
    "abs",
    "sqrt",
    "square",
    "dropout",
    "cast",
    "assign",
    "share_data",
    "floor",
    "ceil",
    "round",
    "sign",
    "sin",
    "tan",
    "erf",
    "expm1",
    "log1p",
    "brelu",
    "hardtanh",
    "tanh_shrink",
    "softshrink",
    "hard_shrink",
    "thresholded_relu",
    "dropout_nd",
    "c_identity",
)
_ZERO_BECOMES_NONZERO = ("sigmoid", "hardsigmoid", "logsigmoid", "softplus", "exp", "log", "rsqrt", "cos",
                         "reciprocal")  # fmt: skip


@rule(*_ZERO_STAYS_ZERO)
def zero_stays_zero(flow: Flow, operation: Operation) -> None:
    """A function of each element with f(0) = 0."""
    flow.propagate(operation.outputs[0], flow.axis(operation.inputs[0]))


@rule(*_ZERO_BECOMES_NONZERO)
def zero_becomes_nonzero(flow: Flow, operation: Operation) -> None:
    """A function of each element with f(0) != 0."""
    data = flow.axis(operation.inputs[0])
    flow.propagate(operation.outputs[0], data and replace(data, zero_if_masked=False))


@rule("scale")
def scale(flow: Flow, operation: Operation) -> None:
    """``scale * x + bias``."""
    data = flow.axis(operation.inputs[0])
    zero = operation.attrs.get("bias", 0.0) == 0.0
    flow.propagate(operation.outputs[0], data and replace(data, zero_if_masked=data.zero_if_masked and zero))


@rule("clip")
def clip(flow: Flow, operation: Operation) -> None:
    """``min(max(x, low), high)``."""
    data = flow.axis(operation.inputs[0])
    low, high = (number(operation.attrs.get(name)) for name in ("min", "max"))
    zero = low is not None and high is not None and low <= 0 <= high
    flow.propagate(operation.outputs[0], data and replace(data, zero_if_masked=data.zero_if_masked and zero))


@rule("pow")
def power(flow: Flow, operation: Operation) -> None:
    """``x ** y`` with a number."""
    data = flow.axis(operation.inputs[0])
    exponent = number(operation.attrs.get("y"))
    zero = exponent is not None and exponent > 0
    flow.propagate(operation.outputs[0], data and replace(data, zero_if_masked=data.zero_if_masked and zero))


@rule("prelu")
def prelu(flow: Flow, operation: Operation) -> None:
    """One slope for all channels, or one for each."""
    image, slope = operation.inputs
    data = flow.axis(image)
    if np.prod(slope.shape) > 1:
        if data is None or slope.param is None or data.axis != channel_axis(operation, image) or len(slope.shape) > 1:
            unknown(flow, operation)
            return
        data = replace(data, labels=flow.param(slope, 0, data.labels))
    flow.propagate(operation.outputs[0], data)


@rule("add", "subtract", "multiply", "divide", "maximum", "minimum")
def elementwise(flow: Flow, operation: Operation) -> None:
    """Two operands, the smaller one broadcast. Their labels are tied position by position."""
    x, y = operation.inputs[:2]
    result = operation.outputs[0]
    rank = len(result.shape)
    shift_x, shift_y = (_shift(operation, tensor, rank) for tensor in (x, y))
    a, b = _axis_of_result(flow, x, shift_x), _axis_of_result(flow, y, shift_y)
    if a is not None and b is None:
        b = _param_like(flow, y, shift_y, a)
    elif b is not None and a is None:
        a = _param_like(flow, x, shift_x, b)
    for tensor, axis in ((x, a), (y, b)):
        if tensor.param is not None and axis is None:
            flow.freeze_param(tensor, f"{operation.name} with something that cannot shrink")
    if a is None:
        _with_unlabelled(flow, operation, b, x, shift_x, operation.name == "multiply")
    elif b is None:
        _with_unlabelled(flow, operation, a, y, shift_y, operation.name in ("multiply", "divide"))
    elif a.axis != b.axis:
        flow.axis_conflict(a, b, f"{operation.name} of different axes")
    else:
        zero_of = {"multiply": a.zero_if_masked or b.zero_if_masked, "divide": a.zero_if_masked}
        zero = zero_of.get(operation.name, a.zero_if_masked and b.zero_if_masked)
        labels = flow.labels.tie(a.labels, b.labels, f"{operation.name} with channels that stay")
        flow.propagate(result, Axis(a.axis, labels, zero, a.origin or b.origin))


def _with_unlabelled(
    flow: Flow, operation: Operation, labelled: Optional[Axis], other: Tensor, shift: int, zero_stays_zero: bool
) -> None:
    """Combine a labelled operand with one that cannot shrink, which is right if that one is broadcast.

    Args:
        flow: the analysis.
        operation: the operation.
        labelled: axis of the labelled operand.
        other: the other operand.
        shift: see :func:`_shift`, of the other operand.
        zero_stays_zero: whether the result is zero where the labelled operand is.
    """
    if labelled is None:
        return
    if _size(other, labelled.axis - shift) > 1:
        flow.labels.freeze(labelled.labels, f"{operation.name} with something that cannot shrink")
        return
    zero = labelled.zero_if_masked and zero_stays_zero
    flow.propagate(operation.outputs[0], replace(labelled, zero_if_masked=zero))


def _shift(operation: Operation, tensor: Tensor, rank: int) -> int:
    """Return what has to be added to an axis of an operand to get the axis of the result."""
    axis = int(operation.attrs.get("axis", -1))
    return axis if axis >= 0 and len(tensor.shape) < rank else rank - len(tensor.shape)


def _size(tensor: Tensor, axis: int) -> int:
    return tensor.shape[axis] if 0 <= axis < len(tensor.shape) else 1


def _axis_of_result(flow: Flow, tensor: Tensor, shift: int) -> Optional[Axis]:
    """Return the labelled axis of an operand, as an axis of the result."""
    axis = flow.axes.get(tensor)
    return axis and replace(axis, axis=axis.axis + shift)


def _param_like(flow: Flow, tensor: Tensor, shift: int, other: Axis) -> Optional[Axis]:
    """Give a parameter the labels of the operand that it is combined with."""
    axis = other.axis - shift
    if tensor.param is None:
        return None
    if _size(tensor, axis) != len(other.labels):
        return None
    return Axis(other.axis, flow.param(tensor, axis, other.labels))
