"""What several rules need."""

from __future__ import annotations

from typing import Any, Optional

from ....graph.program import Operation, Tensor
from ..flow import Flow, rule
from ..labels import Axis


def channel_of(operation: Operation, tensor: Tensor) -> int:
    """The channel axis."""
    return len(tensor.shape) - 1 if str(operation.attrs.get("data_format", "NCHW")).endswith("C") else 1


def on_axis(flow: Flow, tensor: Tensor, axis: int, operation: Operation) -> Optional[Axis]:
    """The labelled axis of a tensor if it is ``axis``; another one is frozen."""
    found = flow.axis(tensor)
    if found is not None and found.axis != axis:
        flow.freeze(tensor, f"{operation.name} along it")
        return None
    return found


def number(value: Any) -> Optional[float]:
    """Return a constant operand of one element, None for anything else."""
    if isinstance(value, (list, tuple)):
        value = value[0] if len(value) == 1 else None
    return None if value is None else float(value)


@rule("uniform", "gaussian", "full", "assign_value", "shape", "full_like", "data", "bernoulli")
def source(flow: Flow, operation: Operation) -> None:
    """Made by the code: carries no labels."""
