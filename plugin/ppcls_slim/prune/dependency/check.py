"""Is the analysis right about sizes? Recording a pruned model answers.

A number in the code (``reshape(x, [-1, 64])``, ``split(x, [24, 24])``) looks the same in a program
whether it was read from a shape or is a literal. So some channels are taken away, only in the shapes of
the parameters, and the forward pass is recorded once more: every operation has to be there again, and
following the labels that are left through it has to tie each label to itself only.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Optional

import numpy as np

from ...compat.paddle import paddle
from ...graph.program import Program
from ...graph.record import record
from .flow import FAILURES, RULES, Contradiction, Flow, sites_of, unknown, write_number
from .groups import Grouping
from .labels import FIXED, Labels


class _Kept(Labels):
    """Labels of the dense model, of which only like may meet like."""

    def __init__(self, dense: Labels) -> None:
        super().__init__()
        self.parent = dense.find(np.arange(len(dense.parent)))
        self.held = np.zeros(len(self.parent) + 1, bool)
        self.held[list(dense.reasons())] = True

    def tie(self, left: np.ndarray, right: np.ndarray, reason: str) -> np.ndarray:
        left, right = np.broadcast_arrays(left, right)
        differs = (left != right) & (left != FIXED) & (right != FIXED)
        loose = ((left == FIXED) != (right == FIXED)) & ~self.held[np.maximum(left, right)]
        if (differs | loose).any():
            raise Contradiction("channels meet that do not belong together")
        return np.minimum(left, right)  # FIXED wins, as in the dense model


def disagreements(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str,
    modes: Mapping[Any, Program],
    flow: Flow,
    grouping: Grouping,
) -> dict[Any, bool]:
    """Return the sites at which the model with some channels removed does not do what was expected.

    Returns:
        Sites, each with whether another reading of it could help: not where nothing was removed from what it reads.
    """
    for reverse in (False, True) if flow.readings else (False,):
        found = _differences(model, input_shape, dtype, modes, flow, _some_channels(flow, grouping, reverse))
        if found:
            return found
    return {}


def _differences(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str,
    modes: Mapping[Any, Program],
    flow: Flow,
    channels: list[int],
) -> dict[Any, bool]:
    removed = np.zeros(len(flow.labels.parent) + 1, bool)  # the last one for FIXED
    removed[channels] = True
    roots = {key: flow.labels.find(labels) for key, labels in flow.params.items()}
    kept = {key: labels[~removed[labels]] for key, labels in roots.items()}
    shapes: dict[str, list[int]] = {}
    tensors = {**dict(model.named_buffers()), **model.state_dict()}
    for (name, axis), labels in kept.items():
        shapes.setdefault(name, list(tensors[name].shape))[axis] = len(labels)
    contents = {
        name: np.searchsorted(
            np.flatnonzero(~removed[flow.labels.find(labels)]), tensors[name].numpy()[~removed[roots[name, 0]]]
        )
        for name, labels in flow.index_buffers.items()
    }
    found: dict[Any, bool] = {}
    for mode, dense in modes.items():
        with _smaller_numbers(model, flow, removed):
            pruned = record(model, input_shape, dtype, shapes=shapes, contents=contents, **dict(mode))
        sites = sites_of(dense, flow.code.types)
        number = _first_difference(dense, pruned, sites, flow, kept, removed)
        if number is not None:
            inputs = [flow.axes[tensor] for tensor in dense.operations[number].inputs if tensor in flow.axes]
            found[sites[number]] = any(removed[flow.labels.find(axis.labels)].any() for axis in inputs)
    return found


def _some_channels(flow: Flow, grouping: Grouping, reverse: bool) -> list[int]:
    """Take some channels from everywhere, more from one end, so that halves do not stay equal by luck."""
    removed = []
    for number, group in enumerate(grouping.groups):
        roots = np.full(group.prunable_channels, FIXED)
        for name in group.root_weights:
            member = next(member for member in group.members if member.param == name and member.produces)
            inside = member.index != FIXED
            roots[member.index[inside]] = flow.labels.find(flow.params[name, member.axis])[inside]
        place = np.arange(group.prunable_channels)
        spread = (place * 0.6180339887 + number * 0.3819660113) % 1.0  # even at every scale
        gone = set(np.flatnonzero(spread < 0.1 + 0.5 * place / group.prunable_channels).tolist() or [0])
        if reverse:
            gone = {group.prunable_channels - 1 - channel for channel in gone}
        for part in (*group.keep_at_least_one, range(group.prunable_channels)):
            if gone.issuperset(part):
                gone.discard(part[-1])
        removed.extend(roots[sorted(gone)].tolist())
    return removed


@contextlib.contextmanager
def _smaller_numbers(model: paddle.nn.Layer, flow: Flow, removed: np.ndarray) -> Iterator[None]:
    """Give grouped convolutions, and attributes that count channels, the numbers that are left."""
    before = []
    groups = {(name, "_groups"): labels for name, labels in flow.grouped.items()}
    layers = dict(model.named_sublayers(include_self=True))
    try:
        for (name, attribute), labels in [*groups.items(), *flow.sizes.items()]:
            before.append((layers[name], attribute, len(labels)))
            write_number(layers[name], attribute, int((~removed[flow.labels.find(labels)]).sum()))
        yield
    finally:
        for layer, attribute, value in before:
            write_number(layer, attribute, value)


def _first_difference(
    dense: Program, pruned: Program, sites: list[Any], flow: Flow, kept: Mapping, removed: np.ndarray
) -> Optional[int]:
    """Return the number of the first operation of the pruned program that is not as expected."""
    again = Flow(flow.code, _Kept(flow.labels))
    again.checking = True
    again.readings = flow.readings
    again.params = dict(kept)
    read = {tensor for operation in dense.operations for tensor in operation.inputs}
    for number, (expected, site) in enumerate(zip(dense.operations, sites)):
        if number >= len(pruned.operations):
            return number
        operation = pruned.operations[number]
        if operation.name != expected.name or len(operation.outputs) != len(expected.outputs):
            return number
        again.site, again.step = site, (id(dense), number)
        again.expected = {
            result: flow.axes[before]
            for result, before in zip(operation.outputs, expected.outputs)
            if before in flow.axes
        }
        try:
            read_by = unknown if again.step in flow.failed else RULES.get(operation.name, unknown)
            read_by(again, operation)
        except FAILURES:
            return number
        for result, before in zip(operation.outputs, expected.outputs):
            if before in read and not _as_expected(result, before, again, flow, removed):
                return number
    return None


def _as_expected(result: Any, before: Any, again: Flow, flow: Flow, removed: np.ndarray) -> bool:
    """Compare the shape, and the labels that are left, of one result."""
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
