"""What shrinks with the channels of each group: parameters, attributes of layers and index buffers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from .flow import Flow
from .groups import IndexBuffer, Member, Size
from .labels import FIXED


class GroupIndex:
    """Group and number within the group of the prunable channel that a root label stands for.

    Args:
        labels: how many labels there are.
        groups: for each group the roots of its channels.
    """

    def __init__(self, labels: int, groups: Sequence[Sequence[int]]) -> None:
        self.channels_of = [len(channels) for channels in groups]
        self.group = np.full(labels + 1, FIXED)  # the last entry is that of FIXED
        self.channel = np.full(labels + 1, FIXED)
        for number, channels in enumerate(groups):
            self.group[list(channels)] = number
            self.channel[list(channels)] = np.arange(len(channels))

    def split(self, roots: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Yield each group that has some of the roots, and the channel of each root in it, -1 for other roots."""
        group, channel = self.group[roots], self.channel[roots]
        for number in np.unique(group[group != FIXED]).tolist():
            yield number, np.where(group == number, channel, FIXED).astype(np.int64)

    def __len__(self) -> int:
        return len(self.channels_of)


def find_members(flow: Flow, free: Mapping[tuple[str, int], np.ndarray], index: GroupIndex) -> list[list[Member]]:
    """Return for each group which axes of which parameters shrink with it.

    Args:
        flow: the analysis.
        free: (parameter, axis) -> roots, FIXED where they are frozen.
        index: of the groups.
    """
    members: list[list[Member]] = [[] for _ in range(len(index))]
    for (name, axis), roots in free.items():
        produces = (name, axis) not in flow.inputs or (name, axis) in flow.nonzero_if_masked
        for group, channels in index.split(roots):
            members[group].append(Member(name, axis, channels, produces))
    return members


def find_sizes(flow: Flow, table: np.ndarray, index: GroupIndex) -> list[list[Size]]:
    """Return for each group which attributes of layers count its channels.

    Args:
        flow: the analysis.
        table: root -> itself, or FIXED, see :meth:`.labels.Labels.unfrozen`.
        index: of the groups.
    """
    sizes: list[list[Size]] = [[] for _ in range(len(index))]
    for (layer, attribute), labels in flow.sizes.items():
        for group, channels in index.split(table[flow.labels.find(labels)]):
            sizes[group].append(Size(layer, attribute, channels))
    return sizes


def find_index_buffers(flow: Flow, table: np.ndarray, index: GroupIndex) -> list[list[IndexBuffer]]:
    """Return for each group which index buffers pick from its channels; arguments as :func:`find_sizes`."""
    index_buffers: list[list[IndexBuffer]] = [[] for _ in range(len(index))]
    for param, labels in flow.index_buffers.items():
        for group, channels in index.split(table[flow.labels.find(labels)]):
            index_buffers[group].append(IndexBuffer(param, channels))
    return index_buffers


def sets_to_keep_one_of(flow: Flow, table: np.ndarray, index: GroupIndex) -> list[tuple[tuple[int, ...], ...]]:
    """Return for each group the sets of channels without which some tensor would be empty.

    Arguments are those of :func:`find_sizes`.
    """
    found: list[set[tuple[int, ...]]] = [set() for _ in range(len(index))]
    seen = set()
    for labels in [axis.labels for axis in flow.axes.values()] + list(flow.params.values()):
        roots = np.unique(table[flow.labels.find(labels)])
        key = roots.tobytes()
        group = index.group[roots]
        if key in seen or not roots.size or group[0] == FIXED or (group != group[0]).any():
            continue
        seen.add(key)
        if len(roots) < index.channels_of[group[0]]:
            found[group[0]].add(tuple(sorted(index.channel[roots].tolist())))
    return [_smallest(sets) for sets in found]


def _smallest(sets: set[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Drop the sets that contain another one."""
    as_sets = {part: frozenset(part) for part in sets}
    return tuple(sorted(part for part in sets if not any(as_sets[other] < as_sets[part] for other in sets)))
