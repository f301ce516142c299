"""From tied labels to groups with masters, units and members."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Optional

import numpy as np
import paddle

from ..groups import Group, Grouping, Member
from .flow import Flow
from .labels import FIXED


def build(model: paddle.nn.Layer, flow: Flow, refusal: Optional[str] = None) -> Grouping:
    """Turn the state of an analysis into groups.

    Two units belong to the same group where one convolution has filters of both: they are scored and
    counted together.

    Args:
        refusal: reason for every convolution, where there was nothing to analyse.
    """
    filters = _filters(model)
    if refusal is not None:
        return Grouping((), {_layer(name): refusal for name in filters})
    for name, reason in flow.fixed_params.items():
        for (param, _), labels in flow.params.items():
            if param == name:
                flow.labels.freeze(labels, reason)
    frozen = flow.labels.reasons()
    roots = {key: flow.labels.find(labels) for key, labels in flow.params.items()}
    free = {key: np.where(np.isin(labels, list(frozen)), FIXED, labels) for key, labels in roots.items()}
    of_filters = {name: free[name, axis] for name, axis in filters.items() if (name, axis) in free}
    groups = []
    for units, masters in _components(of_filters):
        if len(units) > 1:
            groups.append(_group(units, masters, free, flow))
    grouped = {(member.param, member.axis) for group in groups for member in group.members}
    reasons = {
        _layer(name): _reason(roots.get((name, axis)), frozen)
        for name, axis in filters.items()
        if (name, axis) not in grouped
    }
    return Grouping(tuple(groups), reasons)


def _filters(model: paddle.nn.Layer) -> dict[str, int]:
    """Weights of convolutions -> the axis of their filters, in the order of the model."""
    names, seen = {}, set()
    layers = dict(model.named_sublayers(include_self=True))
    for name, tensor in model.named_parameters():
        if len(tensor.shape) != 4 or id(tensor) in seen:
            continue
        seen.add(id(tensor))
        layer = layers.get(_layer(name))
        if isinstance(layer, paddle.nn.Conv2DTranspose):
            names[name] = 1
        elif hasattr(layer, "_groups") or isinstance(layer, paddle.nn.Conv2D):
            names[name] = 0
    return names


def _layer(param: str) -> str:
    return param.rpartition(".")[0]


def _components(filters: dict[str, np.ndarray]) -> Iterable[tuple[list[int], tuple[str, ...]]]:
    """Yield units and masters of each group, in the order of the masters in the model."""
    parent: dict[int, int] = {}

    def find(root: int) -> int:
        while parent[root] != root:
            parent[root] = parent[parent[root]]
            root = parent[root]
        return root

    for labels in filters.values():
        free = labels[labels != FIXED].tolist()
        for root in free:
            parent.setdefault(root, root)
            parent[find(root)] = find(free[0])
    units: dict[int, dict[int, None]] = defaultdict(dict)
    masters: dict[int, list[str]] = defaultdict(list)
    for name, labels in filters.items():
        free = labels[labels != FIXED].tolist()
        if not free:
            continue
        group = find(free[0])
        before = len(units[group])
        units[group].update(dict.fromkeys(free))
        if len(units[group]) > before:
            masters[group].append(name)
    for group, names in masters.items():
        yield list(units[group]), tuple(names)


def _group(units: list[int], masters: tuple[str, ...], free: dict, flow: Flow) -> Group:
    number = {root: unit for unit, root in enumerate(units)}
    order = np.argsort(units)
    keys = np.asarray(units)[order]

    def index(labels: np.ndarray) -> np.ndarray:
        place = np.minimum(np.searchsorted(keys, labels), len(keys) - 1)
        return np.where(keys[place] == labels, order[place], FIXED).astype(np.int64)

    members, sets = [], set()
    for (name, axis), labels in free.items():
        positions = index(labels)
        if (positions != FIXED).any():
            members.append(Member(name, axis, positions))
            if not (labels == FIXED).any() and np.isin(labels, keys).all():
                sets.add(tuple(np.unique(positions).tolist()))
    layers = [name for name, labels in flow.grouped.items()
              if any(root in number for root in flow.labels.find(labels).tolist())]  # fmt: skip
    every = tuple(range(len(units)))
    smallest = [part for part in sets - {every} if not any(set(other) < set(part) for other in sets)]
    return Group(masters, len(units), tuple(members), tuple(layers), tuple(sorted(smallest)))


def _reason(roots: Optional[np.ndarray], frozen: dict[int, str]) -> str:
    if roots is None:
        return "not used in the forward pass"
    reasons = list(dict.fromkeys(frozen[root] for root in roots.tolist() if root in frozen))
    return "; ".join(reasons[:2]) or "a single unit"
