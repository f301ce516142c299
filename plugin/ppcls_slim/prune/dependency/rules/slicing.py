"""Operations that read or write a part of an axis."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

from ....graph.program import Operation
from ..flow import Flow
from ..labels import Axis
from ..registry import rule, unknown
from .common import tie_all


def selected(operation: Operation, data: Axis) -> Optional[list[int]]:
    """Return the positions of the labelled axis that a slice takes, None if they are not known."""
    axes = [int(axis) for axis in operation.attrs["axes"]]
    every = range(len(data.labels))
    if data.axis not in axes:
        return list(every)
    i = axes.index(data.axis)
    starts, ends = operation.attrs.get("starts"), operation.attrs.get("ends")
    steps = operation.attrs.get("strides") or [1] * len(axes)
    if starts is None or ends is None or len(starts) != len(axes) or len(ends) != len(axes):
        return None
    return list(every[int(starts[i]) : int(ends[i]) : int(steps[i])])


@rule("slice", "strided_slice")
def slice_(flow: Flow, operation: Operation) -> None:
    """A part of one or several axes; see :func:`_interpret_bounds`."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    taken = selected(operation, data)
    if taken is None:
        unknown(flow, operation)
        return
    decreased = [int(axis) for axis in operation.attrs.get("decrease") or []]
    _interpret_bounds(flow, operation, data, taken, data.axis in decreased)
    if data.axis in decreased or not taken:
        return
    shift = sum(axis < data.axis for axis in decreased)
    flow.propagate(result, replace(data, axis=data.axis - shift, labels=data.labels[taken]))


def _interpret_bounds(flow: Flow, operation: Operation, data: Axis, taken: list[int], single: bool) -> None:
    """Decide where the bounds of a slice come from, and tie, freeze or follow labels accordingly.

    "free": they are computed from shapes. ("attribute", name): an attribute counts the channels in front.
    "tied": they are a fraction of the size, so that the parts have to stay equal. "prefix frozen": they are literals,
    which are right as long as nothing in front of them is removed. "frozen": all channels stay.

    Args:
        flow: the analysis.
        operation: the slice.
        data: the labelled axis.
        taken: the positions that the slice takes.
        single: the slice takes one position and drops the axis.
    """
    labels, reason = data.labels, "sizes written in the code (slice)"
    last = min(taken, default=0) if taken[-1:] == [len(labels) - 1] else max(taken, default=0) + 1
    names = flow.attributes(operation.layer, last) if last else []
    share = len(taken) if taken and taken == list(range(taken[0], taken[-1] + 1)) else 0
    fraction = share and len(labels) % share == 0 and taken[0] % share == 0 and share < len(labels)
    attributes = [("attribute", name) for name in names]
    interpretations = ["free", *attributes, *["tied"] * bool(fraction), "prefix frozen", "frozen"]
    chosen = "prefix frozen" if single else flow.choose(interpretations)
    if chosen == "tied":
        tie_all(flow, list(labels.reshape(-1, share)), "split with channels that stay")
    elif chosen == "prefix frozen":
        flow.labels.freeze(labels[:last], reason)
    elif chosen == "frozen":
        flow.labels.freeze(labels, reason)
    elif chosen != "free":
        flow.follow(operation.layer, chosen[1], labels[:last])


@rule("set_value_with_tensor")
def assign_slice(flow: Flow, operation: Operation) -> None:
    """``x[:, 2:5] = y``: the labels of ``y`` are tied to those of the part that it replaces."""
    tensor, values = operation.inputs[:2]
    data, new = flow.axis(tensor), flow.axis(values)
    if data is None and new is None:
        return
    taken = None if data is None else selected(operation, data)
    if data is None or taken is None or operation.attrs.get("decrease") or len(values.shape) != len(tensor.shape):
        unknown(flow, operation)
        return
    _interpret_bounds(flow, operation, data, taken, False)
    reason = "assigned together with channels that stay"
    if new is None:
        flow.labels.freeze(data.labels[taken], reason)
    elif new.axis != data.axis:
        unknown(flow, operation)
        return
    else:
        flow.labels.tie(data.labels[taken], new.labels, reason)
    zero = data.zero_if_masked and (new is None or new.zero_if_masked)
    flow.propagate(operation.outputs[0], replace(data, zero_if_masked=zero))
