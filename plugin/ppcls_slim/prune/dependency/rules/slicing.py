"""Operations that cut an axis, join several, or write into a part of one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import numpy as np

from ....graph.program import Operation, Tensor
from ..flow import Flow, rule, unknown
from ..labels import FIXED, Axis
from .common import number


@rule("concat")
def concat(flow: Flow, operation: Operation) -> None:
    """Along the labelled axis labels follow each other; along another one they are tied."""
    result = operation.outputs[0]
    joined = int(number(operation.attrs["axis"])) % len(result.shape)
    parts = [flow.axis(tensor) for tensor in operation.inputs]
    axes = {part.axis for part in parts if part is not None}
    if not axes:
        return
    if len(axes) > 1:
        for tensor in operation.inputs:
            flow.freeze(tensor, "concat of different axes")
        return
    (axis,) = axes
    zero = all(part is None or part.zero_if_masked for part in parts)
    rows = [np.full(tensor.shape[axis], FIXED) if part is None else part.labels
            for tensor, part in zip(operation.inputs, parts)]  # fmt: skip
    if axis == joined:
        flow.propagate(result, Axis(axis, np.concatenate(rows), zero))
        return
    labels = rows[0]
    for row in rows[1:]:
        labels = flow.labels.tie(labels, row, "concat with channels that stay")
    flow.propagate(result, Axis(axis, labels, zero))


@rule("split", "split_with_num")
def split(flow: Flow, operation: Operation) -> None:
    """Sections of an axis. ``num`` equal ones stay equal only if they are tied to each other."""
    tensor, results = operation.inputs[0], operation.outputs
    data = flow.axis(tensor)
    if data is None:
        return
    if data.axis != int(number(operation.attrs["axis"])) % len(tensor.shape):
        for result in results:
            flow.propagate(result, data)
        return
    sizes = [result.shape[data.axis] for result in results]
    parts = np.split(data.labels, np.cumsum(sizes)[:-1])
    readings: list[Any] = [] if operation.name == "split_with_num" else ["apart", *_counted(flow, operation, parts)]
    reading = flow.choose(readings + ["tied"] * (len(set(sizes)) == 1) + ["whole"])
    if reading == "tied":
        _tie_all(flow, parts)
    elif reading == "whole":
        flow.freeze(tensor, "sizes written in the code (split)")
    elif reading != "apart":
        for part, attribute in zip(parts, reading):
            if attribute is None:
                flow.labels.freeze(part, "sizes written in the code (split)")
            else:
                flow.follow(operation.layer, attribute, part)
    for result, part in zip(results, parts):
        flow.propagate(result, replace(data, labels=part))


def _tie_all(flow: Flow, parts: list[np.ndarray]) -> None:
    tied = parts[0]
    for part in parts[1:]:
        tied = flow.labels.tie(tied, part, "split with channels that stay")


def _counted(flow: Flow, operation: Operation, parts: list[np.ndarray]) -> list[tuple[Optional[str], ...]]:
    """Which attributes may hold the sizes of the sections: for all of them, or for some."""
    names, used = [], set()
    for place, part in enumerate(parts):
        found = [name for name in flow.attributes(operation.layer, len(part)) if name not in used]
        in_place = [name for name in found if name.endswith(f"[{place}]")]
        names.append((in_place or found or [None])[0])
        used.add(names[-1])
    if all(name is None for name in names):
        return []
    alone = [tuple(name if i == j else None for i, name in enumerate(names)) for j in range(len(names))]
    return list(dict.fromkeys([tuple(names), *(row for row in alone if any(row))]))


def _selected(operation: Operation, data: Axis) -> Optional[list[int]]:
    """Which positions of the labelled axis a slice takes; all where it cuts other axes."""
    axes = [int(axis) for axis in operation.attrs["axes"]]
    every = range(len(data.labels))
    if data.axis not in axes:
        return list(every)
    i = axes.index(data.axis)
    bounds = [operation.attrs.get(name) for name in ("starts", "ends")]
    steps = operation.attrs.get("strides") or [1] * len(axes)
    if any(bound is None or len(bound) != len(axes) for bound in bounds):
        return None
    return list(every[int(bounds[0][i]) : int(bounds[1][i]) : int(steps[i])])


@rule("slice", "strided_slice")
def slice_(flow: Flow, operation: Operation) -> None:
    """Bounds that the code stores as numbers hold only if nothing before them is removed."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    taken = _selected(operation, data)
    if taken is None:
        unknown(flow, operation)
        return
    decreased = [int(axis) for axis in operation.attrs.get("decrease") or []]
    _understand_bounds(flow, operation, data, taken, data.axis in decreased)
    if data.axis in decreased or not taken:
        return
    shift = sum(axis < data.axis for axis in decreased)
    flow.propagate(result, replace(data, axis=data.axis - shift, labels=data.labels[taken]))


def _understand_bounds(flow: Flow, operation: Operation, data: Axis, taken: list[int], single: bool) -> None:
    """Bounds may follow sizes by themselves, be attributes, be fractions of the size, or be literals."""
    labels, reason = data.labels, "sizes written in the code (slice)"
    last = min(taken, default=0) if taken[-1:] == [len(labels) - 1] else max(taken, default=0) + 1
    edits = flow.attributes(operation.layer, last) if last else []
    share = len(taken) if taken and taken == list(range(taken[0], taken[-1] + 1)) else 0
    fraction = share and len(labels) % share == 0 and taken[0] % share == 0 and share < len(labels)
    readings = ["free", *(("edit", name) for name in edits), *["tied"] * bool(fraction), "held", "whole"]
    reading = "held" if single else flow.choose(readings)
    if reading == "tied":
        _tie_all(flow, list(labels.reshape(-1, share)))
    elif reading == "held":
        flow.labels.freeze(labels[:last], reason)
    elif reading == "whole":
        flow.labels.freeze(labels, reason)
    elif reading != "free":
        flow.follow(operation.layer, reading[1], labels[:last])


@rule("set_value_with_tensor")
def assign_slice(flow: Flow, operation: Operation) -> None:
    """``x[:, 2:5] = y``: what is written has the labels of the place it is written to."""
    tensor, values = operation.inputs[:2]
    data, new = flow.axis(tensor), flow.axis(values)
    if data is None and new is None:
        return
    taken = None if data is None else _selected(operation, data)
    if taken is None or operation.attrs.get("decrease") or len(values.shape) != len(tensor.shape):
        unknown(flow, operation)
        return
    _understand_bounds(flow, operation, data, taken, False)
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


@rule("pad", "pad3d")
def pad(flow: Flow, operation: Operation) -> None:
    """Padding along channels is as wide as the code says, and stays."""
    tensor, result = operation.inputs[0], operation.outputs[0]
    data = flow.axis(tensor)
    if data is None:
        return
    before = _pad_before(operation, tensor, data.axis)
    if before is None:
        unknown(flow, operation)
        return
    after = result.shape[data.axis] - len(data.labels) - before
    zero = str(operation.attrs.get("mode", "constant")) != "constant" or not number(operation.attrs.get("value", 0))
    if (before or after) and str(operation.attrs.get("mode", "constant")) != "constant":
        unknown(flow, operation)
        return
    labels = np.concatenate([np.full(before, FIXED), data.labels, np.full(after, FIXED)])
    flow.propagate(result, replace(data, labels=labels, zero_if_masked=data.zero_if_masked and zero))


def _pad_before(operation: Operation, tensor: Tensor, axis: int) -> Optional[int]:
    """How many positions are put before the first one of an axis."""
    amounts = operation.attrs.get("paddings")
    if amounts is None:
        return None
    if operation.name == "pad":  # two for each axis, in order
        return int(amounts[2 * axis])
    channels_last = str(operation.attrs.get("data_format", "NCDHW")).endswith("C")
    order = [3, 2, 1] if channels_last else [4, 3, 2]  # pad3d: width, height, depth
    return int(amounts[2 * order.index(axis)]) if axis in order else 0
