"""Operations that move elements or reduce them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from ....graph.program import Operation
from ..flow import COMPUTED_WEIGHT, Flow
from ..labels import Axis
from ..registry import rule, unknown
from .common import channel_axis, integer, on_axis


@rule("pool2d", "nearest_interp", "bilinear_interp", "bicubic_interp", "max_pool2d_with_index")
def spatial(flow: Flow, operation: Operation) -> None:
    """Pooling and interpolation treat every channel by itself."""
    image = operation.inputs[0]
    flow.propagate(operation.outputs[0], on_axis(flow, image, channel_axis(operation, image), operation))


@rule("sum", "mean", "max", "min", "p_norm")
def reduction(flow: Flow, operation: Operation) -> None:
    """A sum over channels does not change without those that are zero; a mean divides by their number."""
    tensor = operation.inputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    rank = len(tensor.shape)
    given = operation.attrs.get("axis")
    given = [given] if isinstance(given, int) else given
    axes = range(rank) if operation.attrs.get("all") or not given else [axis % rank for axis in given]
    if data.axis in axes:
        if operation.name not in ("sum", "p_norm") or not data.zero_if_masked:
            flow.freeze(tensor, f"{operation.name} over channels")
        return
    shift = 0 if operation.attrs.get("keepdim") else sum(axis < data.axis for axis in axes)
    flow.propagate(operation.outputs[0], replace(data, axis=data.axis - shift))


@rule("transpose")
def transpose(flow: Flow, operation: Operation) -> None:
    """The labelled axis moves to another place."""
    data = flow.axis(operation.inputs[0])
    if data is not None:
        axis = [int(axis) for axis in operation.attrs["perm"]].index(data.axis)
        flow.propagate(operation.outputs[0], replace(data, axis=axis))


@rule("reshape", "flatten", "squeeze", "unsqueeze")
def reshape(flow: Flow, operation: Operation) -> None:
    """Axes are merged and split; the order of the elements does not change."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    if len(data.labels) == 1:  # every element of the tensor has this one label
        expected = flow.expected.get(result)
        axis = 0 if expected is None else expected.axis
        size = 1 if expected is None else result.shape[axis]
        flow.propagate(result, replace(data, axis=axis, labels=np.repeat(data.labels, size)))
        return
    start, stop, new_start, new_stop = next(
        block for block in _blocks(tensor.shape, result.shape) if block[0] <= data.axis < block[1]
    )
    inside = [1] * (stop - start)
    inside[data.axis - start] = len(data.labels)
    array = np.broadcast_to(data.labels.reshape(inside), tensor.shape[start:stop])
    array = array.reshape(result.shape[new_start:new_stop])
    axes = flow.varying(array)
    interpretations: list[Any] = []
    for axis in axes:
        attributes = flow.attributes(operation.layer, array.shape[axis])
        interpretations += [(axis, None), *((axis, name) for name in attributes)]
    has_sizes = operation.name == "reshape"  # the others are told axes, which may stay as they are
    chosen = flow.choose([*interpretations, "fixed"]) if has_sizes else interpretations[0]
    if chosen == "fixed":
        flow.freeze(tensor, f"sizes written in the code ({operation.name})")
        chosen = (axes[0], None)
    keep, attribute = chosen
    labels = flow.tie_axes(array, keep)
    if attribute is not None:
        flow.follow(operation.layer, attribute, labels)
    origin = flow.site if len(axes) > 1 else data.origin
    flow.propagate(result, Axis(new_start + keep, labels, data.zero_if_masked, origin))


def _blocks(old: tuple[int, ...], new: tuple[int, ...]) -> list[tuple[int, int, int, int]]:
    """Split two shapes into the shortest runs of axes with the same elements: (start, stop, new start, new stop)."""
    blocks, i, j = [], 0, 0
    while i < len(old) and j < len(new):
        start, new_start, left, right = i, j, old[i], new[j]
        i, j = i + 1, j + 1
        while left != right:
            if left < right:
                left *= old[i]
                i += 1
            else:
                right *= new[j]
                j += 1
        blocks.append((start, i, new_start, j))
    return blocks


@rule("expand", "tile")
def expand(flow: Flow, operation: Operation) -> None:
    """Axes other than the labelled one are repeated."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    data = replace(data, axis=data.axis + len(result.shape) - len(tensor.shape))
    if result.shape[data.axis] != len(data.labels) or flow.choose(["free", "fixed"]) == "fixed":
        flow.freeze(tensor, f"sizes written in the code ({operation.name})")
        return
    flow.propagate(result, data)


@rule("roll", "flip")
def roll(flow: Flow, operation: Operation) -> None:
    """Elements move along some axes. Without some channels, a flip is still a flip; a roll would move others."""
    tensor = operation.inputs[0]
    data = flow.axis(tensor)
    axes = [axis % len(tensor.shape) for axis in operation.attrs.get("axis") or range(len(tensor.shape))]
    if data is not None and data.axis in axes and operation.name == "roll":
        flow.freeze(tensor, "roll over channels")
    elif data is not None and data.axis in axes:
        flow.propagate(operation.outputs[0], replace(data, labels=data.labels[::-1]))
    else:
        flow.propagate(operation.outputs[0], data)


@rule("pixel_shuffle", "pixel_unshuffle")
def pixel_shuffle(flow: Flow, operation: Operation) -> None:
    """``[n, c * r * r, h, w]`` becomes ``[n, c, h * r, w * r]``, or the reverse: channels of one ``c`` are tied."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    channel = channel_axis(operation, tensor)
    data = on_axis(flow, tensor, channel, operation)
    if data is None:
        return
    if operation.name == "pixel_unshuffle":
        labels = np.repeat(data.labels, int(operation.attrs["factor"]) ** 2)
    else:
        labels = flow.tie_axes(data.labels.reshape(-1, int(operation.attrs["factor"]) ** 2), 0)
    flow.propagate(result, replace(data, labels=labels))


@rule("channel_shuffle")
def channel_shuffle(flow: Flow, operation: Operation) -> None:
    """Channels ``[groups, c]`` become ``[c, groups]``: every group loses the same ones."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = on_axis(flow, tensor, channel_axis(operation, tensor), operation)
    if data is not None:
        groups = int(operation.attrs["groups"])
        labels = flow.tie_axes(data.labels.reshape(groups, -1), 1)
        flow.propagate(result, replace(data, labels=np.repeat(labels, groups)))


@rule("assign_out")
def assign_out(flow: Flow, operation: Operation) -> None:
    """A result is written into a parameter or buffer: weight and spectral normalization write the weight."""
    for tensor in operation.inputs:
        flow.freeze(tensor, COMPUTED_WEIGHT)


@rule("gather", "index_select")
def pick(flow: Flow, operation: Operation) -> None:
    """Channels are picked by an index buffer, which is renumbered when some of them are removed."""
    tensor, positions = operation.inputs[:2]
    result = operation.outputs[0]
    data = flow.axis(tensor)
    if data is None or len(positions.shape) != 1:
        unknown(flow, operation)
        return
    if data.axis != integer(operation.attrs.get("axis", 0)) % len(tensor.shape):
        flow.propagate(result, data)
        return
    if positions.value is None or positions.param is None:
        flow.freeze(tensor, f"positions written in the code ({operation.name})")
        return
    reason = "picked by positions that others are picked by"
    known = flow.index_buffers.get(positions.param)
    if known is not None and len(known) != len(data.labels):
        flow.labels.freeze(np.concatenate([known, data.labels]), reason)
        return
    flow.index_buffers[positions.param] = (
        data.labels if known is None else flow.labels.tie(known, data.labels, reason)
    )
    labels = flow.param(positions, 0, data.labels[positions.value])
    flow.inputs.add((positions.param, 0))
    flow.propagate(result, replace(data, labels=labels))


@rule("unfold")
def unfold(flow: Flow, operation: Operation) -> None:
    """Patches of an image: ``[n, c, h, w]`` becomes ``[n, c * k * k, l]``."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = on_axis(flow, tensor, 1, operation)
    if data is not None:
        labels = np.repeat(data.labels, result.shape[1] // len(data.labels))
        flow.propagate(result, replace(data, labels=labels))


@rule("fold")
def fold(flow: Flow, operation: Operation) -> None:
    """The inverse of unfold; overlaps are added."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = on_axis(flow, tensor, 1, operation)
    if data is not None:
        labels = data.labels.reshape(result.shape[1], -1)
        labels = flow.labels.tie(labels, labels[:, :1], "tied to channels that stay")
        flow.propagate(result, replace(data, labels=labels[:, 0]))
