"""Check the analysis by recording a pruned model.

A number in the code (``reshape(x, [-1, 64])``, ``split(x, [24, 24])``) looks the same in a program whether it was
computed from a shape or is a literal. So some channels are removed and the forward pass is recorded once more. Every
operation has to be there again, and following the labels that are left has to tie each label to itself only. Numbers
that are not sizes have to be the same (``constants``).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, Optional

import numpy as np

from ...compat.paddle import paddle
from ...graph.program import Operation, Program, Tensor
from ...graph.record import record
from . import constants
from .code import Site, sites_of
from .flow import ContradictionError, Flow
from .groups import Grouping
from .labels import FIXED, Labels
from .modes import Mode
from .registry import FAILURES, RULES, unknown
from .rules.slicing import assign_slice, selected, slice_
from .trial import Trial, make_trial, reduced_attributes

PATTERNS = 5
"""How many ways to remove some of the channels are tried."""
FEWER_PATTERNS = 2
"""The same where no number in the code has to be interpreted."""


class _KnownLabels(Labels):
    """Labels of the dense model, each of which may be tied to itself only."""

    def __init__(self, dense: Labels) -> None:
        super().__init__()
        self.parent = dense.find(np.arange(len(dense.parent)))
        self.is_frozen = np.zeros(len(self.parent) + 1, bool)
        self.is_frozen[list(dense.reasons())] = True

    def tie(self, left: np.ndarray, right: np.ndarray, reason: str) -> np.ndarray:
        left, right = np.broadcast_arrays(left, right)
        differ = (left != right) & (left != FIXED) & (right != FIXED)
        unfrozen = ((left == FIXED) != (right == FIXED)) & ~self.is_frozen[np.maximum(left, right)]
        if (differ | unfrozen).any():
            raise ContradictionError("channels meet that do not belong together")
        return np.minimum(left, right)  # FIXED wins, as in the dense model


def same_operation(one: Operation, other: Operation) -> bool:
    """Whether two are called the same; a depthwise convolution of which one channel is left is an ordinary one."""
    names = {operation.name.replace("depthwise_", "") for operation in (one, other)}
    return len(names) == 1 and len(one.outputs) == len(other.outputs)


class Disagreement(NamedTuple):
    """What a model with some channels removed does otherwise than expected.

    Attributes:
        sites: place in the code -> whether channels were removed from what it reads. If none were, another
            interpretation cannot help.
        counted: numbers of the groups that the code computes numbers from -> reason. Looked for only where there are
            no ``sites``.
    """

    sites: dict[Site, bool]
    counted: dict[int, str]


def disagreements(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str,
    modes: Mapping[Mode, Program],
    flow: Flow,
    grouping: Grouping,
) -> Disagreement:
    """Say where the model with some channels removed does not do what was expected.

    Args:
        model: the dense model; it is not changed.
        input_shape: ``[C, H, W]``.
        dtype: data type of the image.
        modes: the programs of the dense model.
        flow: the analysis of them.
        grouping: its result.
    """
    counting: dict[tuple[Mode, int], Program] = {}
    for pattern in range(PATTERNS if flow.interpretations else FEWER_PATTERNS):
        trial = make_trial(model, flow, grouping, pattern)
        found: dict[Site, bool] = {}
        for mode, dense in modes.items():
            with reduced_attributes(model, flow, trial.removed):
                pruned = record(model, input_shape, dtype, mode.training, mode.merged, trial.shapes, trial.contents)
            sites = sites_of(dense, flow.code.types)
            number = _first_difference(dense, pruned, sites, flow, trial)
            if number is not None:
                inputs = [flow.axes[tensor] for tensor in dense.operations[number].inputs if tensor in flow.axes]
                found[sites[number]] = any(trial.removed[flow.labels.find(axis.labels)].any() for axis in inputs)
            elif constants.changed(dense, pruned, flow):
                counting[mode, pattern] = dense
        if found:
            return Disagreement(found, {})
    if not counting:
        return Disagreement({}, {})
    return Disagreement({}, constants.groups_behind(model, input_shape, dtype, counting, flow, grouping))


def _first_difference(
    dense: Program, pruned: Program, sites: Sequence[Site], flow: Flow, trial: Trial
) -> Optional[int]:
    """Return the number of the first operation of the pruned program that is not as expected."""
    again = Flow(flow.code, _KnownLabels(flow.labels))
    again.checking = True
    again.interpretations = flow.interpretations
    again.params = dict(trial.kept)
    read = {tensor for operation in dense.operations for tensor in operation.inputs}
    for number, (expected, site) in enumerate(zip(dense.operations, sites)):
        if number >= len(pruned.operations):
            return number
        operation = pruned.operations[number]
        if not same_operation(operation, expected):
            return number
        again.site, again.step = site, (id(dense), number)
        again.expected = {
            result: flow.axes[before]
            for result, before in zip(operation.outputs, expected.outputs)
            if before in flow.axes
        }
        try:
            apply = unknown if again.step in flow.failed else RULES.get(operation.name, unknown)
            apply(again, operation)
        except FAILURES:
            return number
        if not _takes_the_same(operation, expected, again, flow, trial.removed):
            return number
        for result, before in zip(operation.outputs, expected.outputs):
            if before in read and not _as_expected(result, before, again, flow, trial.removed):
                return number
    return None


def _takes_the_same(operation: Operation, expected: Operation, again: Flow, flow: Flow, removed: np.ndarray) -> bool:
    """Whether a slice takes the positions that the dense one takes, less what was removed.

    Labels do not tell: several positions may have the same one.
    """
    if RULES.get(expected.name) not in (slice_, assign_slice):
        return True
    was, now = flow.axes.get(expected.inputs[0]), again.axes.get(operation.inputs[0])
    if was is None or now is None:
        return True
    stays = ~removed[flow.labels.find(was.labels)]
    place = np.cumsum(stays) - 1
    taken = selected(expected, was)
    return taken is None or selected(operation, now) == [place[i] for i in taken if stays[i]]


def _as_expected(result: Tensor, before: Tensor, again: Flow, flow: Flow, removed: np.ndarray) -> bool:
    """Whether a result has the shape and the labels of the dense one, less what was removed."""
    was, now = flow.axes.get(before), again.axes.get(result)
    shape = list(before.shape)
    if was is None:
        return (now is None or len(now.labels) == 1) and list(result.shape) == shape
    labels = flow.labels.find(was.labels)
    return (
        now is not None
        and now.axis == was.axis
        and len(result.shape) == len(shape)
        and all(result.shape[i] == size for i, size in enumerate(shape) if i != was.axis)
        and np.array_equal(again.labels.find(now.labels), labels[~removed[labels]])
    )
