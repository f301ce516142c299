"""From tied labels to groups with masters, units and members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator
from typing import Optional

import numpy as np

from ...upstream.paddle_lines import paddle
from ..groups import Group, Grouping, Lookup, Member, Size
from .flow import Flow
from .labels import FIXED

SINGLE = "a single unit: all of its filters are tied to each other"


def build(model: paddle.nn.Layer, flow: Flow, refusal: Optional[str] = None) -> Grouping:
    """Turn the state of an analysis into groups.

    Two units belong to the same group where one convolution has filters of both: they are scored and
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
    parts = [(units, masters) for units, masters in parts if len(units) > 1]
    members = _members(flow, free, [units for units, _ in parts])
    never_empty = _never_empty(flow, table, [units for units, _ in parts])
    sizes = _sizes(flow, table, [units for units, _ in parts])
    lookups = _lookups(flow, table, [units for units, _ in parts])
    groups = tuple(
        Group(
            masters,
            len(units),
            tuple(members[i]),
            _grouped_layers(flow, units),
            never_empty[i],
            tuple(sizes[i]),
            tuple(lookups[i]),
        )
        for i, (units, masters) in enumerate(parts)
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
    """Return units and masters of each group, in the order of the masters in the model."""
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
    units: dict[int, dict[int, None]] = defaultdict(dict)
    masters: dict[int, list[str]] = defaultdict(list)
    for name, labels in free.items():
        if not labels:
            continue
        group = find(labels[0])
        before = len(units[group])
        units[group].update(dict.fromkeys(labels))
        if len(units[group]) > before:
            masters[group].append(name)
    return [(list(units[group]), tuple(names)) for group, names in masters.items()]


class _Numbers:
    """Group and number of the unit that a root stands for."""

    def __init__(self, flow: Flow, groups: list[list[int]]) -> None:
        size = len(flow.labels.parent) + 1  # the last one for FIXED
        self.group = np.full(size, FIXED)
        self.unit = np.full(size, FIXED)
        for number, units in enumerate(groups):
            self.group[units] = number
            self.unit[units] = np.arange(len(units))

    def of(self, roots: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
        """Each group that has some of the roots, and their units in it, -1 for those it has not."""
        of_group, of_unit = self.group[roots], self.unit[roots]
        for group in np.unique(of_group[of_group != FIXED]).tolist():
            yield group, np.where(of_group == group, of_unit, FIXED).astype(np.int64)


def _members(flow: Flow, free: dict[tuple[str, int], np.ndarray], groups: list[list[int]]) -> list[list[Member]]:
    """Return for each group which axes of which parameters shrink with it."""
    numbers = _Numbers(flow, groups)
    members: list[list[Member]] = [[] for _ in groups]
    for (name, axis), labels in free.items():
        for group, index in numbers.of(labels):
            produces = (name, axis) not in flow.inputs or (name, axis) in flow.loud
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


def _lookups(flow: Flow, table: np.ndarray, groups: list[list[int]]) -> list[list[Lookup]]:
    """Return for each group which buffers of positions pick from its channels."""
    numbers = _Numbers(flow, groups)
    lookups: list[list[Lookup]] = [[] for _ in groups]
    for param, labels in flow.lookups.items():
        for group, index in numbers.of(table[flow.labels.find(labels)]):
            lookups[group].append(Lookup(param, index))
    return lookups


def _never_empty(flow: Flow, table: np.ndarray, groups: list[list[int]]) -> list[tuple]:
    """Return for each group the sets of units that some tensor would be empty without."""
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
            found[of_group[0]].add(tuple(sorted(numbers.unit[labels].tolist())))
    return [_smallest(sets) for sets in found]


def _smallest(sets: set[tuple[int, ...]]) -> tuple[tuple[int, ...], ...]:
    """Drop the sets that contain another one."""
    as_sets = {part: frozenset(part) for part in sets}
    return tuple(sorted(part for part in sets if not any(as_sets[other] < as_sets[part] for other in sets)))


def _grouped_layers(flow: Flow, units: list[int]) -> tuple[str, ...]:
    return tuple(name for name, labels in flow.grouped.items() if np.isin(flow.labels.find(labels), units).any())


def _reason(roots: Optional[np.ndarray], frozen: dict[int, str]) -> str:
    if roots is None:
        return "not used in the forward pass"
    reasons = list(dict.fromkeys(frozen[root] for root in roots.tolist() if root in frozen))
    loose = roots[roots != FIXED]
    if len(loose) > 1 and (loose == loose[0]).all():
        reasons.insert(0, SINGLE)  # whatever else holds them
    return "; ".join(reasons[:2]) or "a single filter"
