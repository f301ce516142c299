"""Helpers that several rules share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

import numpy as np

from ....graph.program import Operation, Tensor
from ..counts import Count
from ..flow import Flow
from ..labels import Axis
from ..registry import rule


def channel_axis(operation: Operation, tensor: Tensor) -> int:
    """Return the channel axis of an image tensor, by the operation's data format."""
    return len(tensor.shape) - 1 if str(operation.attrs.get("data_format", "NCHW")).endswith("C") else 1


def on_axis(flow: Flow, tensor: Tensor, axis: int, operation: Operation) -> Optional[Axis]:
    """Return the labelled axis of a tensor if it is ``axis``; freeze it if it is another one."""
    found = flow.axis(tensor)
    if found is not None and found.axis != axis:
        flow.freeze(tensor, f"{operation.name} along it")
        return None
    return found


def number(value: Any) -> Optional[float]:
    """Return the value of a constant operand with one element, None for anything else."""
    if isinstance(value, (list, tuple)):
        value = value[0] if len(value) == 1 else None
    return None if value is None else float(value)


def integer(value: Any) -> int:
    """Return the value of a constant integer operand.

    Raises:
        ValueError: it is not a constant.
    """
    found = number(value)
    if found is None:
        raise ValueError(f"{value} is not a constant number")
    return int(found)


def tie_all(flow: Flow, parts: Sequence[np.ndarray], reason: str) -> None:
    """Tie arrays of labels to each other position by position."""
    tied = parts[0]
    for part in parts[1:]:
        tied = flow.labels.tie(tied, part, reason)


@rule("uniform", "gaussian", "full", "assign_value", "full_like", "data", "bernoulli", "full_with_tensor")
def source(flow: Flow, operation: Operation) -> None:
    """Tensors that the code creates carry no labels."""


@rule("shape", "shape64")
def shape(flow: Flow, operation: Operation) -> None:
    """The sizes of a tensor as numbers: one of them counts its channels."""
    data = flow.axis(operation.inputs[0])
    if data is not None:
        flow.counts[operation.outputs[0]] = Count(data.labels, data.axis)


@rule("numel")
def number_of_elements(flow: Flow, operation: Operation) -> None:
    """How many elements a tensor has."""
    data = flow.axis(operation.inputs[0])
    if data is not None:
        flow.counts[operation.outputs[0]] = Count(data.labels)
