"""From tied labels to groups of prunable channels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from typing import Optional

import numpy as np

from ...compat.layers import conv_groups, is_convolution
from ...compat.paddle import paddle
from ...graph.model import layer_of
from .flow import COMPUTED_WEIGHT, Flow
from .groups import Group, Grouping
from .labels import FIXED, Labels
from .members import GroupIndex, find_index_buffers, find_members, find_sizes, sets_to_keep_one_of

SINGLE = "a single channel: all of its filters are tied to each other"


def build(model: paddle.nn.Layer, flow: Flow, refusal: Optional[str] = None) -> Grouping:
    """Turn the state of an analysis into groups.

    Two channels belong to the same group if one convolution has filters of both: they are scored and counted
    together.

    Args:
        model: the dense model.
        flow: after its rules have been applied to all programs.
        refusal: reason for every convolution, if there was nothing to analyse.
    """
    filters = filters_of(model, flow.pointwise)
    convolutions = [name for name in filters if name not in flow.pointwise]
    if refusal is not None:
        return Grouping((), {layer_of(name): refusal for name in convolutions})
    for name, reason in flow.fixed_params.items():
        for (param, _), labels in flow.params.items():
            if param == name:
                flow.labels.freeze(labels, reason)
    roots = {key: flow.labels.find(labels) for key, labels in flow.params.items()}
    reasons = flow.labels.reasons()
    table = flow.labels.unfrozen(reasons)
    free = {key: table[labels] for key, labels in roots.items()}
    components = _components({name: free[name, axis] for name, axis in filters.items() if (name, axis) in free})
    groups = _groups(flow, table, free, [part for part in components if len(part[0]) > 1])
    pruned = {(member.param, member.axis) for group in groups for member in group.members}
    frozen = {
        layer_of(name): _reason(roots.get((name, filters[name])), reasons, name in flow.computed_with)
        for name in convolutions
        if (name, filters[name]) not in pruned
    }
    return Grouping(groups, frozen)


def filters_of(model: paddle.nn.Layer, pointwise: Collection[str] = ()) -> dict[str, int]:
    """Return weight of a convolution -> the axis of its filters, in the order of the model.

    Args:
        model: any model.
        pointwise: weights ``[in_c, out_c]`` of linear layers that count as convolutions.
    """
    names: dict[str, int] = {}
    layers = dict(model.named_sublayers(include_self=True))
    for name, tensor in model.named_parameters():
        layer = layers.get(layer_of(name))
        if name in pointwise:
            names[name] = 1
        elif len(tensor.shape) == 4 and is_convolution(layer):
            names[name] = int(isinstance(layer, paddle.nn.Conv2DTranspose) and conv_groups(layer) == 1)
    return names


def _components(filters: Mapping[str, np.ndarray]) -> list[tuple[list[int], tuple[str, ...]]]:
    """Join labels that are filters of the same weight.

    Args:
        filters: weight of a convolution -> label of each of its filters.

    Returns:
        (labels, root weights) of each group, in the order of the root weights in the model.
    """
    free = {name: list(dict.fromkeys(labels[labels != FIXED].tolist())) for name, labels in filters.items()}
    together = Labels()
    together.new(1 + max((max(labels) for labels in free.values() if labels), default=0))
    for labels in free.values():
        together.tie(np.array(labels, np.int64), np.array(labels[:1], np.int64), "filters of one weight")
    channels: dict[int, dict[int, None]] = defaultdict(dict)
    root_weights: dict[int, list[str]] = defaultdict(list)
    for name, labels in free.items():
        if not labels:
            continue
        group = int(together.find(np.array(labels[:1]))[0])
        before = len(channels[group])
        channels[group].update(dict.fromkeys(labels))
        if len(channels[group]) > before:
            root_weights[group].append(name)
    return [(list(channels[group]), tuple(names)) for group, names in root_weights.items()]


def _groups(
    flow: Flow,
    table: np.ndarray,
    free: Mapping[tuple[str, int], np.ndarray],
    components: list[tuple[list[int], tuple[str, ...]]],
) -> tuple[Group, ...]:
    index = GroupIndex(len(flow.labels.parent), [labels for labels, _ in components])
    members = find_members(flow, free, index)
    keep_one_of = sets_to_keep_one_of(flow, table, index)
    sizes = find_sizes(flow, table, index)
    index_buffers = find_index_buffers(flow, table, index)
    return tuple(
        Group(
            root_weights,
            len(labels),
            tuple(members[i]),
            _grouped_layers(flow, labels),
            keep_one_of[i],
            tuple(sizes[i]),
            tuple(index_buffers[i]),
        )
        for i, (labels, root_weights) in enumerate(components)
    )


def _grouped_layers(flow: Flow, channels: list[int]) -> tuple[str, ...]:
    return tuple(name for name, labels in flow.grouped.items() if np.isin(flow.labels.find(labels), channels).any())


def _reason(roots: Optional[np.ndarray], frozen: Mapping[int, str], is_used: bool) -> str:
    """Say why the filters with these roots cannot be removed; they have none where no rule reads them as filters."""
    if roots is None:
        return COMPUTED_WEIGHT if is_used else "not used in the forward pass"
    reasons = list(dict.fromkeys(frozen[root] for root in roots.tolist() if root in frozen))
    free = roots[roots != FIXED]
    if len(free) > 1 and (free == free[0]).all():
        reasons.insert(0, SINGLE)  # also where something else freezes them
    return "; ".join(reasons[:2]) or "a single filter"
