"""Tensors that hold sizes while the model runs, ``paddle.shape(x)[1]``: they follow the channels by themselves.

Where they become the size of something (a reshape, a random mask), shapes tell whether that is right, and operations
do not list them as inputs (``op_specs.SPECS``). Where they are computed with like any other number, what the model
computes depends on how many channels there are, and these are frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ...graph.program import Operation, Program, Tensor

COUNTED = "a number that is computed from how many channels there are"
"""Reason to freeze."""
PASSES_ON = frozenset(
    ["add", "assign", "cast", "concat", "divide", "elementwise_pow", "flatten", "floor_divide", "maximum", "minimum",
     "multiply", "pow", "remainder", "reshape", "rsqrt", "scale", "share_data", "slice", "sqrt", "squeeze", "stack",
     "strided_slice", "subtract", "unsqueeze"]
)  # fmt: skip
"""Operations behind which a size is a size, or a number computed from it."""


@dataclass(frozen=True)
class Count:
    """What a tensor's numbers count.

    Attributes:
        labels: of the channels that are counted.
        position: which of the tensor's numbers counts them, None for all of them.
    """

    labels: np.ndarray
    position: Optional[int] = None


def count_of_results(operation: Operation, counts: Mapping[Tensor, Count]) -> Optional[Count]:
    """Return what the results of an operation count, None if it reads nothing that counts channels."""
    read = [(tensor, counts[tensor]) for tensor in operation.inputs if tensor in counts]
    if not read:
        return None
    labels = np.concatenate([count.labels for _, count in read])
    tensor, count = read[0]
    if len(operation.inputs) > 1 or count.position is None:
        return Count(labels)
    if operation.name == "slice":
        return _of_slice(operation, tensor, count, count.position)
    same = [output.shape for output in operation.outputs] == [tensor.shape]
    return Count(labels, count.position if same else None)


def _of_slice(operation: Operation, tensor: Tensor, count: Count, position: int) -> Optional[Count]:
    starts, ends = operation.attrs.get("starts"), operation.attrs.get("ends")
    if not starts or not ends or len(starts) != 1 or len(ends) != 1:
        return Count(count.labels)
    taken = range(tensor.shape[0])[int(starts[0]) : int(ends[0])]
    if position not in taken:
        return None
    return Count(count.labels, None if operation.attrs.get("decrease") else taken.index(position))


def returned(program: Program, counts: Mapping[Tensor, Count]) -> list[np.ndarray]:
    """Return the labels that numbers among the model's outputs count."""
    return [counts[tensor].labels for _, tensor in program.outputs if tensor in counts]
