"""Padding."""

from __future__ import annotations

from dataclasses import replace
from typing import Optional

import numpy as np

from ....graph.program import Operation, Tensor
from ..flow import Flow
from ..labels import FIXED
from ..registry import rule, unknown
from .common import number


@rule("pad", "pad3d")
def pad(flow: Flow, operation: Operation) -> None:
    """Positions of padding along the channel axis are FIXED: their number is written in the code."""
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
    """Return how many positions are put in front of an axis, None if that is not known."""
    amounts = operation.attrs.get("paddings")
    if amounts is None:
        return None
    if operation.name == "pad":  # two for each axis, in order
        return int(amounts[2 * axis])
    channels_last = str(operation.attrs.get("data_format", "NCDHW")).endswith("C")
    order = [3, 2, 1] if channels_last else [4, 3, 2]  # pad3d: width, height, depth
    return int(amounts[2 * order.index(axis)]) if axis in order else 0
