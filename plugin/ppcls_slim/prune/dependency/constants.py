"""Numbers that the code computes from a number of channels, and which groups they depend on.

``x / x.shape[1] ** 0.5`` divides by another number when ``x`` has fewer channels: the pruned model is not the masked
one. In a recorded program the number is a constant like any other, so it is found by comparing the constants of the
dense program with those of a pruned one. The channels that it depends on are frozen: that the number should follow
them, which changes what the model computes, is not for pruning to decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Optional

from ...compat.paddle import paddle
from ...graph.op_specs import SIZES
from ...graph.program import Operation, Program
from ...graph.record import record
from .counts import COUNTED
from .flow import Flow
from .groups import Grouping
from .labels import Axis
from .modes import Mode
from .trial import make_trial, reduced_attributes


def changed(dense: Program, pruned: Program, flow: Optional[Flow]) -> list[int]:
    """Return the operations whose constants are others in the pruned program, where shapes do not tell.

    Args:
        dense: the recorded program.
        pruned: the same operations, recorded with some channels removed.
        flow: the analysis of ``dense``; without it, bounds of slices are not compared.
    """
    read = {tensor for operation in dense.operations for tensor in operation.inputs}
    read.update(tensor for _, tensor in dense.outputs)
    return [
        number
        for number, (before, after) in enumerate(zip(dense.operations, pruned.operations))
        if before.name == after.name  # one channel of a depthwise convolution is called otherwise
        and before.constants != after.constants
        and read.intersection(before.outputs)  # not what only sets the size of something: a shape, the end of a slice
        and _values(before, before, flow) != _values(after, before, flow)
    ]


def groups_behind(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str,
    programs: Mapping[tuple[Mode, int], Program],
    flow: Flow,
    grouping: Grouping,
) -> dict[int, str]:
    """Find the groups whose number of channels decides constants, by removing channels of fewer and fewer groups.

    Args:
        model: the dense model; it is not changed.
        input_shape: ``[C, H, W]``.
        dtype: data type of the image.
        programs: (mode, pattern of the channels that were removed) -> program of the dense model, where constants
            changed.
        flow: the analysis.
        grouping: its result.

    Returns:
        Number of the group -> reason.
    """

    def behind(some: Sequence[int]) -> dict[int, str]:
        reason = _change(model, input_shape, dtype, programs, flow, grouping, some)
        if reason is None:
            return {}
        half = len(some) // 2
        parts = {**behind(some[:half]), **behind(some[half:])} if half else {}
        return parts or dict.fromkeys(some, reason)  # no half of them alone: a number that depends on both

    return behind(range(len(grouping.groups)))


def _change(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str,
    programs: Mapping[tuple[Mode, int], Program],
    flow: Flow,
    grouping: Grouping,
    some: Sequence[int],
) -> Optional[str]:
    """Return the reason to freeze if removing channels of some groups changes a constant, None if it does not."""
    for (mode, pattern), dense in programs.items():
        trial = make_trial(model, flow, grouping, pattern, some)
        with reduced_attributes(model, flow, trial.removed):
            pruned = record(model, input_shape, dtype, mode.training, mode.merged, trial.shapes, trial.contents)
        if len(pruned.operations) != len(dense.operations):
            return COUNTED
        for number in changed(dense, pruned, flow):
            return f"{COUNTED} ({_used_by(dense, number)})"
    return None


def _used_by(program: Program, number: int) -> str:
    """Name the operation that a constant goes into: legacy IR has one of its own for the constant."""
    operation = program.operations[number]
    if operation.inputs:
        return operation.name
    readers = (op.name for op in program.operations if set(op.inputs) & set(operation.outputs))
    return next(readers, operation.name)


def _values(operation: Operation, dense: Operation, flow: Optional[Flow]) -> dict[Any, Any]:
    """The constants of an operation without those that count positions along the labelled axis of its input.

    Args:
        operation: of the dense or the pruned program.
        dense: the same operation in the dense program.
        flow: the analysis of the dense program, if there is one.
    """
    sizes = SIZES.get(dense.name, ())
    values = {key: value for key, value in operation.constants.items() if key not in sizes}
    axes = operation.attrs.get("axes")
    if axes is not None and flow is not None:  # a slice: along other axes, its bounds are numbers like any other
        axis = flow.axes.get(dense.inputs[0])
        values["bounds"] = [_bounds_elsewhere(operation.attrs.get(end), axes, axis) for end in ("starts", "ends")]
    return values


def _bounds_elsewhere(bounds: Any, axes: Sequence[int], labelled: Optional[Axis]) -> Any:
    if bounds is None or len(bounds) != len(axes):
        return bounds
    return [bound for bound, axis in zip(bounds, axes) if labelled is None or axis != labelled.axis]
