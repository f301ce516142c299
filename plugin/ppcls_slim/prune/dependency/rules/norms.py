"""Normalizations: over channels, or for every channel by itself."""

from __future__ import annotations

from dataclasses import replace

from ....graph.program import Operation
from ..flow import Flow
from ..labels import Axis
from ..registry import rule
from .common import channel_axis, on_axis


@rule("batch_norm", "sync_batch_norm", "instance_norm")
def per_channel_norm(flow: Flow, operation: Operation) -> None:
    """Every channel has its own statistics, scale and shift."""
    image, *vectors = operation.inputs
    data = on_axis(flow, image, channel_axis(operation, image), operation)
    if any(vector.param is None for vector in vectors) or not vectors:
        flow.freeze(image, f"{operation.name} without parameters")
        return
    if data is None:
        for vector in vectors:
            flow.freeze_param(vector, "its input cannot shrink")
        return
    labels = data.labels
    for vector in vectors:
        labels = flow.param(vector, 0, labels)
    flow.propagate(operation.outputs[0], Axis(data.axis, labels))


@rule("layer_norm")
def layer_norm(flow: Flow, operation: Operation) -> None:
    """Mean and variance are computed over the last axes: removing a channel would change them."""
    tensor, *vectors = operation.inputs
    data = flow.axis(tensor)
    for vector in vectors:
        flow.freeze(vector, "layer_norm over channels")
    if data is None:
        return
    if data.axis >= int(operation.attrs["begin_norm_axis"]) % len(tensor.shape):
        flow.freeze(tensor, "layer_norm over channels")
    else:
        flow.propagate(operation.outputs[0], replace(data, zero_if_masked=False))


@rule("group_norm")
def group_norm(flow: Flow, operation: Operation) -> None:
    """Mean and variance are computed over groups of channels: removing one would change them."""
    for tensor in operation.inputs:
        flow.freeze(tensor, "group_norm over channels")


@rule("softmax", "log_softmax")
def softmax(flow: Flow, operation: Operation) -> None:
    """Exponentials are summed along one axis, and that of a zero is 1."""
    (tensor,) = operation.inputs
    data = flow.axis(tensor)
    if data is not None and data.axis == int(operation.attrs.get("axis", -1)) % len(tensor.shape):
        flow.freeze(tensor, "softmax over channels")
    elif data is not None:
        flow.propagate(operation.outputs[0], replace(data, zero_if_masked=False))
