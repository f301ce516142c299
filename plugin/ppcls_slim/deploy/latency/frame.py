"""What stands around a layer while it is timed, the same on every engine.

Engines keep feature maps in layouts of their own. A layer that is fed and read from outside would be timed with the
conversion to and from them. So a convolution of one input channel stands before the layer, and a pooling that reads
one position behind it. The same without the layer is timed, too, and subtracted.
"""

from __future__ import annotations

from collections.abc import Hashable

from ...prune.latency.meter import LayerPoint, LayerShape

IMAGE = 4
"""Layers of so many input channels read an image, in no layout of the engine's: they are fed themselves."""


def has_feeder(point: LayerPoint) -> bool:
    """Whether a convolution stands before the layer."""
    return not point.shape.linear and point.inputs > IMAGE


def input_shape(point: LayerPoint, batch: int) -> list[int]:
    """Shape of what is fed."""
    if point.shape.linear:
        rows = point.shape.size[1]
        return [batch, rows, point.inputs] if rows > 1 else [batch, point.inputs]
    return [batch, 1 if has_feeder(point) else point.inputs, *point.shape.size]


def frame_key(point: LayerPoint) -> Hashable:
    """Equal for layers that the same stands around."""
    return point.shape.linear, point.shape.size, point.inputs


def groups_of(point: LayerPoint) -> int:
    """Number of groups of a convolution."""
    if point.shape.grouping == "dense":
        return 1
    return point.inputs if point.shape.grouping == "depthwise" else point.inputs // point.shape.group_inputs


def pads_of(shape: LayerShape, axis: int) -> tuple[int, int]:
    """What has to be padded for an output of this size, the smaller half first."""
    reach = shape.dilation[axis] * (shape.kernel[axis] - 1) + 1
    total = max(0, (shape.output[axis] - 1) * shape.stride[axis] + reach - shape.size[axis])
    return total // 2, total - total // 2
