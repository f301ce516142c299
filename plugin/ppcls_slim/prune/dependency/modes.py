"""The ways in which a model runs, and the program of each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Optional

from ...compat.paddle import paddle
from ...compat.reparameterization import has_unmerged_branches
from ...graph.program import Operation, Program
from ...graph.record import record


class Mode(NamedTuple):
    """How the forward pass is run, see :func:`ppcls_slim.graph.record.record`."""

    training: bool
    merged: bool = False


Recorded = tuple[dict[Mode, Program], Optional[str]]
"""The programs that differ from each other, and the error of the first mode that could not be recorded."""


def record_modes(model: paddle.nn.Layer, input_shape: Sequence[int], dtype: str) -> Recorded:
    """Record training, evaluation, and evaluation with merged branches where the model has them.

    Returns:
        The programs that differ from each other, and the error of the first mode that could not be recorded.
    """
    modes: dict[Mode, Program] = {}
    errors = []
    wanted = [Mode(training=True), Mode(training=False)]
    if has_unmerged_branches(model):
        wanted.append(Mode(training=False, merged=True))
    for mode in wanted:
        program = record(model, input_shape, dtype, mode.training, mode.merged)
        if program.error is not None:
            errors.append(f"{program.error}{f' (in {program.layer})' if program.layer else ''}")
        elif not any(_same(program, other) for other in modes.values()):
            modes[mode] = program
    return modes, errors[0] if errors else None


_OF_THE_MODE = {"is_test", "use_global_stats"}


def _same(one: Program, other: Program) -> bool:
    """Whether two programs run the same operations with the same numbers."""
    left, right = ([_described(operation) for operation in program.operations] for program in (one, other))
    return left == right and len(one.outputs) == len(other.outputs)


def _described(operation: Operation) -> tuple[Any, ...]:
    constants = {key: value for key, value in operation.constants.items() if key not in _OF_THE_MODE}
    return operation.name, operation.layer, [tensor.shape for tensor in operation.outputs], constants
