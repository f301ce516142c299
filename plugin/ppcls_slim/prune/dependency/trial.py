"""Remove some channels for a trial: only in the shapes of parameters, while the forward pass is recorded."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ...compat.layers import CONV_GROUPS
from ...compat.paddle import paddle
from ...graph.model import tensors_of
from .code import get_attribute, set_attribute
from .flow import Flow
from .groups import Grouping
from .labels import FIXED


@dataclass(frozen=True)
class Trial:
    """A model with some channels of every group removed.

    Attributes:
        removed: bool ``[labels + 1]``, True for roots that are removed; the last entry is that of FIXED.
        kept: (parameter, axis) -> roots that are left.
        shapes: parameter -> shape that is left.
        contents: index buffer -> content that is left.
    """

    removed: np.ndarray
    kept: dict[tuple[str, int], np.ndarray]
    shapes: dict[str, list[int]]
    contents: dict[str, np.ndarray]


def make_trial(
    model: paddle.nn.Layer,
    flow: Flow,
    grouping: Grouping,
    pattern: int,
    some: Optional[Collection[int]] = None,
) -> Trial:
    """Choose channels to remove and work out what is left; the model is not changed.

    Args:
        model: the dense model.
        flow: its analysis.
        grouping: result of the analysis.
        pattern: which channels, and how many: 0 to 4. A wrong interpretation may fit one of them by chance, and a
            number that is computed from how many there are may be the same for some counts.
        some: numbers of the groups that lose channels, all of them if not given.
    """
    removed = np.zeros(len(flow.labels.parent) + 1, bool)
    removed[_some_channels(flow, grouping, pattern, some)] = True
    roots = {key: flow.labels.find(labels) for key, labels in flow.params.items()}
    kept = {key: labels[~removed[labels]] for key, labels in roots.items()}
    shapes: dict[str, list[int]] = {}
    tensors = tensors_of(model)
    for (name, axis), labels in kept.items():
        shapes.setdefault(name, list(tensors[name].shape))[axis] = len(labels)
    contents = {
        name: np.searchsorted(
            np.flatnonzero(~removed[flow.labels.find(labels)]), tensors[name].numpy()[~removed[roots[name, 0]]]
        )
        for name, labels in flow.index_buffers.items()
    }
    return Trial(removed, kept, shapes, contents)


def _some_channels(flow: Flow, grouping: Grouping, pattern: int, some: Optional[Collection[int]]) -> list[int]:
    """Take some channels of every group, and return their roots."""
    removed = []
    for number, group in enumerate(grouping.groups):
        if some is not None and number not in some:
            continue
        roots = np.full(group.prunable_channels, FIXED)
        for name in group.root_weights:
            member = group.filters(name)
            inside = member.index != FIXED
            roots[member.index[inside]] = flow.labels.find(flow.params[name, member.axis])[inside]
        channels = range(group.prunable_channels)
        leave = min(2, len(channels) - 1)  # an axis with one position is broadcast, which is something else
        gone = set(np.flatnonzero(_pattern(len(channels), number, pattern))[: len(channels) - leave].tolist())
        parts = [*map(set, group.keep_at_least_one), set(channels)]
        for part in parts:
            if gone >= part:
                gone.discard(max(part))
        if not gone:  # at least one, where one can go
            gone.update([channel for channel in channels if {channel} not in parts][:1])
        removed.extend(roots[sorted(gone)].tolist())
    return removed


def _pattern(channels: int, group: int, pattern: int) -> np.ndarray:
    """Return bool ``[channels]``, True for those that go.

    More of them at the end (0) or at the start (1), so that halves do not stay equal; one or two at the start (2) or
    at the end (3), since a whole part that is cut off must not go; those that the first pattern keeps (4), so that
    every channel goes once.
    """
    place = np.arange(channels)
    if pattern in (2, 3):
        gone = place < (2 if channels >= 8 else 1)
        return gone if pattern == 2 else gone[::-1]
    spread = (place * 0.6180339887 + group * 0.3819660113) % 1.0  # golden ratio: even at every scale
    gone = spread < (0.35 if pattern == 1 else 0.1) + 0.5 * place / channels
    return {0: gone, 1: gone[::-1], 4: ~gone}[pattern]


@contextlib.contextmanager
def reduced_attributes(model: paddle.nn.Layer, flow: Flow, removed: np.ndarray) -> Iterator[None]:
    """Set groups of convolutions, and attributes that count channels, to what is left for a ``with`` block."""
    counted = {**{(name, CONV_GROUPS): labels for name, labels in flow.grouped.items()}, **flow.sizes}
    left = {place: int((~removed[flow.labels.find(labels)]).sum()) for place, labels in counted.items()}
    with attributes_set(model, left):
        yield


@contextlib.contextmanager
def attributes_set(model: paddle.nn.Layer, values: Mapping[tuple[str, str], int]) -> Iterator[None]:
    """Give attributes of layers, ``(layer, attribute)``, other values for a ``with`` block."""
    layers = dict(model.named_sublayers(include_self=True))
    before = {(name, attribute): get_attribute(layers[name], attribute) for name, attribute in values}
    try:
        for (name, attribute), value in values.items():
            set_attribute(layers[name], attribute, value)
        yield
    finally:
        for (name, attribute), value in before.items():
            set_attribute(layers[name], attribute, value)
