"""Convolutions and matrix products: they read channels and produce new ones."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import numpy as np

from ....graph.model import layer_of
from ....graph.program import Operation, Tensor
from ..flow import COMPUTED_WEIGHT, Flow, param_name
from ..labels import FIXED, Axis
from ..registry import rule
from .common import channel_axis, on_axis


@rule("conv2d", "depthwise_conv2d")
def convolution(flow: Flow, operation: Operation) -> None:
    """A convolution with weight ``[out_c, in_c / groups, k_h, k_w]``."""
    image, weight = operation.inputs[:2]
    result = operation.outputs[0]
    channel = channel_axis(operation, image)
    data = on_axis(flow, image, channel, operation)
    if weight.param is None:
        flow.freeze(image, COMPUTED_WEIGHT)
        flow.freeze(weight, COMPUTED_WEIGHT)
        return
    groups = int(operation.attrs.get("groups") or 1)
    if groups > 1:
        balanced = layer_of(weight.param) in flow.code.balanced
        (_balanced if balanced else _grouped)(flow, operation, data, channel, groups)
        return
    _read(flow, weight, 1, data)
    flow.propagate(result, Axis(channel, _write(flow, weight, 0)))


def _read(flow: Flow, weight: Tensor, axis: int, data: Optional[Axis]) -> None:
    """Tie the input axis of a weight to the channels that it reads."""
    flow.param(weight, axis, np.full(weight.shape[axis], FIXED) if data is None else data.labels)
    key = (param_name(weight), axis)
    flow.inputs.add(key)
    if data is not None and not data.zero_if_masked:
        flow.nonzero_if_masked.add(key)
    _freeze_if_both(flow, weight, key)


def _write(flow: Flow, weight: Tensor, axis: int) -> np.ndarray:
    """Return the labels of the output axis of a weight."""
    key = (param_name(weight), axis)
    flow.outputs.add(key)
    _freeze_if_both(flow, weight, key)
    return flow.param(weight, axis)


def _freeze_if_both(flow: Flow, weight: Tensor, key: tuple[str, int]) -> None:
    """Freeze a weight that two operations share, one of which reads channels where the other writes them.

    A convolution and the transposed one with its weight, ``x @ w`` and ``x @ w.T``: masked filters would be masked
    inputs of the other operation as well.
    """
    if key in flow.inputs and key in flow.outputs:
        flow.freeze_param(weight, "its weight is shared by operations that read it in different directions")


def _grouped(flow: Flow, operation: Operation, data: Optional[Axis], channel: int, groups: int) -> None:
    """The input channels and the filters of one group are tied: a prunable channel is a whole group."""
    weight, result = operation.inputs[1], operation.outputs[0]
    filters = _write(flow, weight, 0)
    if data is None:
        flow.labels.freeze(filters, "its input cannot shrink")
        return
    blocks_in = data.labels.reshape(groups, -1)
    blocks_out = filters.reshape(groups, -1)
    reason = "in a group of a convolution with channels that stay"
    blocks_in = flow.labels.tie(blocks_in, blocks_in[:, :1], reason)
    blocks_out = flow.labels.tie(blocks_out, blocks_in[:, :1], reason)
    flow.grouped[layer_of(param_name(weight))] = blocks_out[:, 0]
    flow.propagate(result, Axis(channel, blocks_out.ravel()))


def _balanced(flow: Flow, operation: Operation, data: Optional[Axis], channel: int, groups: int) -> None:
    """Every group loses the same input channels, and the same filters; the two are independent of each other."""
    weight, result = operation.inputs[1], operation.outputs[0]
    reason = "at the same place of a group as channels that stay"
    if data is not None:
        blocks = data.labels.reshape(groups, -1)
        data = replace(data, labels=flow.labels.tie(blocks, blocks[:1], reason)[0])
    _read(flow, weight, 1, data)
    filters = _write(flow, weight, 0).reshape(groups, -1)
    filters = flow.labels.tie(filters, filters[:1], reason)
    flow.propagate(result, Axis(channel, filters.ravel()))


@rule("conv2d_transpose", "depthwise_conv2d_transpose")
def transposed_convolution(flow: Flow, operation: Operation) -> None:
    """A transposed convolution with weight ``[in_c, out_c / groups, k_h, k_w]``."""
    image, weight = operation.inputs[:2]
    channel = channel_axis(operation, image)
    data = on_axis(flow, image, channel, operation)
    groups = int(operation.attrs.get("groups") or 1)
    if weight.param is None:
        flow.freeze(image, COMPUTED_WEIGHT)
    elif groups > 1 or (flow.checking and (weight.param, 1) not in flow.params):  # one group is left of several
        _grouped_transposed(flow, operation, data, channel, groups)
    else:
        _read(flow, weight, 0, data)
        flow.propagate(operation.outputs[0], Axis(channel, _write(flow, weight, 1)))


def _grouped_transposed(flow: Flow, operation: Operation, data: Optional[Axis], channel: int, groups: int) -> None:
    """Input and output channels of one group are tied; the weight has no axis of all output channels."""
    weight, result = operation.inputs[1], operation.outputs[0]
    if data is None:
        flow.labels.freeze(_write(flow, weight, 0), "its input cannot shrink")
        return
    reason = "in a group of a convolution with channels that stay"
    blocks = data.labels.reshape(groups, -1)
    blocks = flow.labels.tie(blocks, blocks[:, :1], reason)
    blocks = flow.labels.tie(_write(flow, weight, 0).reshape(groups, -1), blocks[:, :1], reason)
    flow.grouped[layer_of(param_name(weight))] = blocks[:, 0]
    flow.propagate(result, Axis(channel, np.repeat(blocks[:, 0], weight.shape[1])))


@rule("matmul")
def product(flow: Flow, operation: Operation) -> None:
    """``x [..., m, k] @ y [..., k, n]``; a linear layer where ``y`` is a parameter ``[k, n]``."""
    x, y = operation.inputs[:2]
    if y.param is not None and len(y.shape) == 2 and not operation.attrs.get("transpose_x"):
        _linear(flow, operation, x, y)
    else:
        _product_of_results(flow, operation, x, y)


def _linear(flow: Flow, operation: Operation, x: Tensor, weight: Tensor) -> None:
    """A linear layer on the last axis of ``x``; its weight is ``[in, out]``, or ``[out, in]`` if transposed."""
    result = operation.outputs[0]
    into, out_of = (1, 0) if operation.attrs.get("transpose_y") else (0, 1)
    data = flow.axis(x)
    last = len(x.shape) - 1
    if data is not None and data.axis != last:
        flow.freeze_param(weight, "applied along another axis")
        flow.propagate(result, data)
        return
    _read(flow, weight, into, data)
    if len(x.shape) == 4 and out_of == 1:
        flow.pointwise.add(param_name(weight))
    flow.propagate(result, Axis(len(result.shape) - 1, _write(flow, weight, out_of)))


def _product_of_results(flow: Flow, operation: Operation, x: Tensor, y: Tensor) -> None:
    """A product of two tensors that are both computed. Batch axes and outer axes of one of them can be followed."""
    result = operation.outputs[0]
    a, b = flow.axis(x), flow.axis(y)
    if len(x.shape) < 2 or len(y.shape) < 2 or (a is not None and b is not None):
        flow.freeze(x, "a product of two results")
        flow.freeze(y, "a product of two results")
        return
    for tensor, axis, transposed, inner in ((x, a, "transpose_x", 1), (y, b, "transpose_y", 2)):
        if axis is None:
            continue
        rank = len(tensor.shape)
        from_end = rank - axis.axis
        if from_end <= 2 and operation.attrs.get(transposed):
            from_end = 3 - from_end
        if from_end == inner:  # summed with something that does not shrink
            flow.freeze(tensor, "a product of two results")
        elif from_end > 2:
            flow.freeze(tensor, "a product of many matrices")
        else:
            flow.propagate(result, replace(axis, axis=len(result.shape) - from_end))
