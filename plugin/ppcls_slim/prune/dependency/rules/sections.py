"""Operations that concatenate sections of an axis, or split it into sections."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

import numpy as np

from ....graph.program import Operation
from ..flow import Flow
from ..labels import FIXED, Axis
from ..registry import rule
from .common import integer, tie_all


@rule("concat")
def concat(flow: Flow, operation: Operation) -> None:
    """Along the labelled axis labels are concatenated; along another axis they are tied."""
    result = operation.outputs[0]
    joined = integer(operation.attrs["axis"]) % len(result.shape)
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
    """Sections of an axis. ``num`` equal sections stay equal only if they are tied to each other."""
    tensor, results = operation.inputs[0], operation.outputs
    data = flow.axis(tensor)
    if data is None:
        return
    if data.axis != integer(operation.attrs["axis"]) % len(tensor.shape):
        for result in results:
            flow.propagate(result, data)
        return
    sizes = [result.shape[data.axis] for result in results]
    parts = np.split(data.labels, np.cumsum(sizes)[:-1])
    _interpret_sections(flow, operation, parts)
    for result, part in zip(results, parts):
        flow.propagate(result, replace(data, labels=part))


def _interpret_sections(flow: Flow, operation: Operation, parts: list[np.ndarray]) -> None:
    """Decide where the sizes of sections come from, and tie, freeze or follow labels accordingly.

    "apart": they follow the channels by themselves. A tuple: attributes hold the sizes of those sections for which it
    has a name, the others are frozen. "tied": the sections have to stay equal. "frozen": all channels stay.
    """
    reason = "sizes written in the code (split)"
    interpretations: list[Any] = []
    if operation.name != "split_with_num":
        interpretations = ["apart", *_attributes_of_sections(flow, operation, parts)]
    equal = len({len(part) for part in parts}) == 1
    chosen = flow.choose(interpretations + ["tied"] * equal + ["frozen"])
    if chosen == "tied":
        tie_all(flow, parts, "split with channels that stay")
    elif chosen == "frozen":
        flow.freeze(operation.inputs[0], reason)
    elif chosen != "apart":
        for part, attribute in zip(parts, chosen):
            if attribute is None:
                flow.labels.freeze(part, reason)
            else:
                flow.follow(operation.layer, attribute, part)


def _attributes_of_sections(
    flow: Flow, operation: Operation, parts: list[np.ndarray]
) -> list[tuple[Optional[str], ...]]:
    """Return the attributes that may hold the sizes of the sections: of all sections, or of one of them."""
    names: list[Optional[str]] = []
    used: set[Optional[str]] = set()
    for place, part in enumerate(parts):
        found = [name for name in flow.attributes(operation.layer, len(part)) if name not in used]
        in_place = [name for name in found if name.endswith(f"[{place}]")]
        names.append(next(iter([*in_place, *found]), None))
        used.add(names[-1])
    if all(name is None for name in names):
        return []
    alone = [tuple(name if i == j else None for i, name in enumerate(names)) for j in range(len(names))]
    return list(dict.fromkeys([tuple(names), *(row for row in alone if any(row))]))
