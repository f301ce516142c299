"""From tied labels to groups with root_weights, channels and members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Optional

import numpy as np

from ...compat.paddle import paddle
from .flow import Flow
from .groups import Group, Grouping, IndexBuffer, Member, Size
from .labels import FIXED

SINGLE = "a single channel: all of its filters are tied to each other"


def build(model: paddle.nn.Layer, flow: Flow, refusal: Optional[str] = None) -> Grouping:
    """Turn the state of an analysis into groups.

    Two channels belong to the same group where one convolution has filters of both: they are scored and
    counted together.

    Args:
        refusal: reason for every convolution, where there was nothing to analyse.
    """
    filters = filters_of(model, flow.pointwise)
    convolutions = [name for name in filters if name not in flow.pointwise]
    if refusal is not None:
        return Grouping((), {_layer(name): refusal for name in convolutions})
    for name, reason in flow.fixed_params.items():
        for (param, _), labels in flow.params.items():
            if param == name:
                flow.labels.freeze(labels, reason)
    roots = {key: flow.labels.find(labels) for key, labels in flow.params.items()}
    reasons = flow.labels.reasons()
    table = flow.labels.unfrozen(reasons)
    free = {key: table[labels] for key, labels in roots.items()}
    parts = _components({name: free[name, axis] for name, axis in filters.items() if (name, axis) in free})
    parts = [(channels, root_weights) for channels, root_weights in parts if len(channels) > 1]
    members = _members(flow, free, [channels for channels, _ in parts])
    keep_at_least_one = _keep_at_least_one(flow, table, [channels for channels, _ in parts])
    sizes = _sizes(flow, table, [channels for channels, _ in parts])
    index_buffers = _index_buffers(flow, table, [channels for channels, _ in parts])
    groups = tuple(
        Group(
            root_weights,
            len(channels),
            tuple(members[i]),
            _grouped_layers(flow, channels),
            keep_at_least_one[i],
            tuple(sizes[i]),
            tuple(index_buffers[i]),
        )
        for i, (channels, root_weights) in enumerate(parts)
    )
    pruned = {(member.param, member.axis) for group in groups for member in group.members}
    frozen = {
        _layer(name): _reason(roots.get((name, axis)), reasons)
        for name, axis in ((name, filters[name]) for name in convolutions)
        if (name, axis) not in pruned
    }
    return Grouping(groups, frozen)


def filters_of(model: paddle.nn.Layer, pointwise: Collection[str] = ()) -> dict[str, int]:
    """Weights of convolutions -> the axis of their filters, in the order of the model.

    Args:
        pointwise: linear layers that count as convolutions; their weight is ``[in_c, out_c]``.
    """
    names: dict[str, int] = {}
    layers = dict(model.named_sublayers(include_self=True))
    for name, tensor in model.named_parameters():
        if name in pointwise:
            names[name] = 1
        elif len(tensor.shape) == 4 and hasattr(layers.get(_layer(name)), "_groups"):
            names[name] = int(isinstance(layers[_layer(name)], paddle.nn.Conv2DTranspose))
    return names


def _layer(param: str) -> str:
    return param.rpartition(".")[0]


def _components(filters: dict[str, np.ndarray]) -> list[tuple[list[int], tuple[str, ...]]]:
    """Return channels and root_weights of each group, in the order of the root_weights in the model."""
    parent: dict[int, int] = {}

    def find(root: int) -> int:
        while parent[root] != root:
            parent[root] = parent[parent[root]]
            root = parent[root]
        return root

    free = {name: list(dict.fromkeys(labels[labels != FIXED].tolist())) for name, labels in filters.items()}
    for labels in free.values():
        for root in labels:
            parent.setdefault(root, root)
            parent[find(root)] = find(labels[0])
    channels: dict[int, dict[int, None]] = defaultdict(dict)
    root_weights: dict[int, list[str]] = defaultdict(list)
    for name, labels in free.items():
        if not labels:
            continue
        group = find(labels[0])
        before = len(channels[group])
        channels[group].update(dict.fromkeys(labels))
        if len(channels[group]) > before:
            root_weights[group].append(name)
    return [(list(channels[group]), tuple(names)) for group, names in root_weights.items()]


class _Numbers:
    """Group and number of the channel that a root stands for."""

    def __init__(self, flow: Flow, groups: list[list[int]]) -> None:
        size = len(flow.labels.parent) + 1  # the last one for FIXED
        self.group = np.full(size, FIXED)
        self.channel = np.full(size, FIXED)
        for number, channels in enumerate(groups):
            self.group[channels] = number
            self.channel[channels] = np.arange(len(channels))

    def of(self, roots: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Each group that has some of the roots, and their channels in it, -1 for those it has not."""
        of_group, of_unit = self.group[roots], self.channel[roots]
        for group in np.unique(of_group[of_group != FIXED]).tolist():
            yield group, np.where(of_group == group, of_unit, FIXED).astype(np.int64)


def _members(flow: Flow, free: dict[tuple[str, int], np.ndarray], groups: list[list[int]]) -> list[list[Member]]:
    """Return for each group which axes of which parameters shrink with it."""
    numbers = _Numbers(flow, groups)
    members: list[list[Member]] = [[] for _ in groups]
    for (name, axis), labels in free.items():
        for group, index in numbers.of(labels):
            produces = (name, axis) not in flow.inputs or (name, axis) in flow.nonzero_if_masked
            members[group].append(Member(name, axis, index, produces))
    return members


def _sizes(flow: Flow, table: np.ndarray, groups: list[list[int]]) -> list[list[Size]]:
    """Return for each group which attributes of layers follow it."""
    numbers = _Numbers(flow, groups)
    sizes: list[list[Size]] = [[] for _ in groups]
    for (layer, attribute), labels in flow.sizes.items():
        for group, index in numbers.of(table[flow.labels.find(labels)]):
            sizes[group].append(Size(layer, attribute, index))
    return sizes


def _index_buffers(flow: Flow, table: np.ndarray, groups: list[list[int]]) -> list[list[IndexBuffer]]:
    """Return for each group which buffers of positions pick from its channels."""
    numbers = _Numbers(flow, groups)
    index_buffers: list[list[IndexBuffer]] = [[] for _ in groups]
    for param, labels in flow.index_buffers.items():
        for group, index in numbers.of(table[flow.labels.find(labels)]):
            index_buffers[group].append(IndexBuffer(param, index))
    return index_buffers


def _keep_at_least_one(flow: Flow, table: np.ndarray, groups: list[list[int]]) -> list[tuple]:
    """Return for each group the sets of channels that some tensor would be empty without."""
    numbers = _Numbers(flow, groups)
    found: list[set[tuple[int, ...]]] = [set() for _ in groups]
    seen = set()
    for labels in [axis.labels for axis in flow.axes.values()] + list(flow.params.values()):
        labels = np.unique(table[flow.labels.find(labels)])
        key = labels.tobytes()
        of_group = numbers.group[labels]
        if key in seen or not labels.size or of_group[0] == FIXED or (of_group != of_group[0]).any():
            continue
        seen.add(key)
        if len(labels) < len(groups[of_group[0]]):
            found[of_group[0]].add(tuple(sorted(numbers.channel[labels].tolist())))
    return [_smallest(sets) for sets in found]


def _smallest(sets: set[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Drop the sets that contain another one."""
    as_sets = {part: frozenset(part) for part in sets}
    return tuple(sorted(part for part in sets if not any(as_sets[other] < as_sets[part] for other in sets)))


def _grouped_layers(flow: Flow, channels: list[int]) -> tuple[str, ...]:
    return tuple(name for name, labels in flow.grouped.items() if np.isin(flow.labels.find(labels), channels).any())


def _reason(roots: Optional[np.ndarray], frozen: dict[int, str]) -> str:
    if roots is None:
        return "not used in the forward pass"
    reasons = list(dict.fromkeys(frozen[root] for root in roots.tolist() if root in frozen))
    loose = roots[roots != FIXED]
    if len(loose) > 1 and (loose == loose[0]).all():
        reasons.insert(0, SINGLE)  # whatever else holds them
    return "; ".join(reasons[:2]) or "a single filter"
