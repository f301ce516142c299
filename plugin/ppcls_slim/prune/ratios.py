"""How many channels each group keeps: one ratio, a ratio per layer, by sensitivity, by FLOPs; aligned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..common.name_patterns import expand
from ..config.section import PruneConfig
from .apply import param_slices
from .dependency.groups import Group, Grouping, layer_of
from .flops import Cost
from .importance.selection import count_to_prune

Sensitivity = Mapping[str, Mapping[float, float]]
_BISECTIONS = 40


@dataclass(frozen=True)
class GroupRatio:
    """What one group is asked to give up.

    Attributes:
        ratio: share of its channels, before rounding.
        note: why it is not simply what the configuration says, or empty.
    """

    ratio: float
    note: str = ""


def layers_of(group: Group, convolutions: Sequence[str]) -> list[str]:
    """Convolutions whose filters belong to the group, the first root_weight in front."""
    own = [layer_of(m.param) for m in group.members if m.produces and layer_of(m.param) in convolutions]
    return sorted(dict.fromkeys(own), key=lambda layer: layer != layer_of(group.root_weights[0]))


def assign_ratios(
    config: PruneConfig,
    grouping: Grouping,
    convolutions: Sequence[str],
    cost: Cost,
    shapes: Mapping[str, Sequence[int]],
    align: int,
    sensitivity: Optional[Sensitivity] = None,
) -> list[GroupRatio]:
    """Return one group_ratio per group.

    Args:
        config: the ``Slim.prune`` section.
        grouping: the analysis of the model.
        convolutions: names of all its convolutions, in order.
        cost: of the dense model.
        shapes: shape of every parameter and buffer of the dense model.
        align: multiple that kept channels are rounded to.
        sensitivity: layer -> ratio -> loss of accuracy, for ``pruned_flops`` by sensitivity.

    Raises:
        SlimError: a name matches nothing or cannot be pruned, a layer would be left without a
            channel, or the FLOPs cannot be reached.
    """
    free = _without_skipped(config, grouping, convolutions)
    if config.pruned_flops is None:
        ratios_of_groups = _by_ratio(config, grouping, convolutions, free)
    else:
        ratios_of_groups = _by_flops(config, grouping, convolutions, free, cost, shapes, align, sensitivity)
    for group, group_ratio in zip(grouping.groups, ratios_of_groups):
        _check_something_left(config, group, group_ratio, align)
    return ratios_of_groups


def counts(groups: Sequence[Group], ratios_of_groups: Sequence[GroupRatio], align: int) -> list[int]:
    """Channels to prune of each group, rounded; alignment counts channels of the root_weight."""
    return [
        count_to_prune(g.prunable_channels, a.ratio, align_in_channels(g, align)) if a.ratio > 0 else 0
        for g, a in zip(groups, ratios_of_groups)
    ]


def align_in_channels(group: Group, align: int) -> int:
    """The alignment in channels: a channel of several channels needs fewer of them for a multiple."""
    per_unit = max(1, round(len(group.filters(group.root_weights[0]).index) / group.prunable_channels))
    return max(1, int(align // np.gcd(align, per_unit)))


def _without_skipped(config: PruneConfig, grouping: Grouping, convolutions: Sequence[str]) -> list[Optional[str]]:
    """For each group None if it may be pruned, otherwise why not."""
    skipped = expand(config.skip, convolutions, "Slim.prune.skip")
    reasons: list[Optional[str]] = []
    for group in grouping.groups:
        hit = next((layer for layer in layers_of(group, convolutions) if layer in skipped), None)
        reasons.append(None if hit is None else f"skip: {hit}")
    return reasons


def _by_ratio(
    config: PruneConfig, grouping: Grouping, convolutions: Sequence[str], free: Sequence[Optional[str]]
) -> list[GroupRatio]:
    asked = expand(config.ratios, convolutions, "Slim.prune.ratios")
    for layer, pattern in asked.items():
        if layer == pattern and layer in grouping.frozen and config.ratios[pattern] > 0:
            raise SlimError(
                f"Slim.prune.ratios: the filters of {layer} cannot be pruned: {grouping.frozen[layer]}; remove it"
            )
    ratios_of_groups = []
    for group, reason in zip(grouping.groups, free):
        layers = layers_of(group, convolutions)
        explicit = {layer: config.ratios[asked[layer]] for layer in layers if layer in asked}
        exact = {layer: ratio for layer, ratio in explicit.items() if asked[layer] == layer}
        ratios_of_groups.append(_agreed(exact or explicit, config.pruned_ratio, reason))
    return ratios_of_groups


def _agreed(explicit: Mapping[str, float], default: Optional[float], skipped: Optional[str]) -> GroupRatio:
    """One ratio for layers that go together; where they were given different ones, the lowest."""
    if skipped is not None:
        return GroupRatio(0.0, skipped)
    if not explicit:
        return GroupRatio(default or 0.0)
    lowest = min(explicit.values())
    if lowest == max(explicit.values()):
        return GroupRatio(lowest)
    return GroupRatio(lowest, f"lowest of {_listed(explicit)}, which go together")


def _listed(ratios: Mapping[str, float]) -> str:
    return ", ".join(f"{layer} {ratio}" for layer, ratio in ratios.items())


def _by_flops(
    config: PruneConfig,
    grouping: Grouping,
    convolutions: Sequence[str],
    free: Sequence[Optional[str]],
    cost: Cost,
    shapes: Mapping[str, Sequence[int]],
    align: int,
    sensitivity: Optional[Sensitivity],
) -> list[GroupRatio]:
    """The smallest common ratio, or the smallest tolerated loss, that removes the share of FLOPs."""
    target = config.pruned_flops or 0.0

    def ratios_at(level: float) -> list[GroupRatio]:
        return [
            GroupRatio(0.0, reason) if reason else GroupRatio(_ratio_at(group, level, sensitivity))
            for group, reason in zip(grouping.groups, free)
        ]

    def removed_at(level: float) -> float:
        shapes_after = shapes_for(grouping.groups, counts(grouping.groups, ratios_at(level), align), shapes)
        return 1.0 - cost.flops(shapes_after) / cost.flops()

    high = _highest_level(grouping, free, sensitivity)
    if removed_at(high) < target:
        raise SlimError(
            f"Slim.prune.pruned_flops {target} cannot be reached: pruning all that can be pruned removes "
            f"{removed_at(high):.3f} of the FLOPs; lower it, or shorten skip"
        )
    level = _smallest(lambda x: removed_at(x) >= target, high)
    how = f"loss of at most {level:.4f}" if sensitivity else f"ratio {level:.4f}"
    return [replace(a, note=a.note or f"{how} for {target} of the FLOPs") for a in ratios_at(level)]


def shapes_for(
    groups: Sequence[Group], pruned: Sequence[int], shapes: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """Shapes after pruning that many channels of each group, whichever they are."""
    kept = [np.arange(group.prunable_channels) >= count for group, count in zip(groups, pruned)]
    return {name: cut.kept_shape() for name, cut in param_slices(groups, kept, shapes).items()}


def _ratio_at(group: Group, level: float, sensitivity: Optional[Sensitivity]) -> float:
    if sensitivity is None:
        return min(level, (group.prunable_channels - 1) / group.prunable_channels)
    losses = sensitivity.get(layer_of(group.root_weights[0]))
    return ratio_for_loss(losses, level) if losses else 0.0


def ratio_for_loss(losses: Mapping[float, float], loss: float) -> float:
    """Largest ratio that loses at most ``loss``, interpolated as ``FilterPruner._get_ratios_by_loss``."""
    points = sorted(losses.items())
    for i in range(len(points) - 1, -1, -1):
        ratio, value = points[i]
        if value <= loss:
            if i == len(points) - 1:
                return float(ratio)
            above, worse = points[i + 1]
            return float(ratio + (loss - value) * (above - ratio) / (worse - value))
    return 0.0


def _highest_level(grouping: Grouping, free: Sequence[Optional[str]], sensitivity: Optional[Sensitivity]) -> float:
    if sensitivity is None:
        return max(
            ((g.prunable_channels - 1) / g.prunable_channels for g, r in zip(grouping.groups, free) if not r),
            default=0.0,
        )
    return max((loss for losses in sensitivity.values() for loss in losses.values()), default=0.0)


def _smallest(holds: Callable[[float], bool], high: float) -> float:
    low = 0.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _check_something_left(config: PruneConfig, group: Group, group_ratio: GroupRatio, align: int) -> None:
    if (
        group_ratio.ratio <= 0
        or count_to_prune(group.prunable_channels, group_ratio.ratio, align_in_channels(group, align))
        < group.prunable_channels
    ):
        return
    largest = (group.prunable_channels - 1) / group.prunable_channels
    raise SlimError(
        f"Slim.prune: a ratio of {group_ratio.ratio:g} would leave {layer_of(group.root_weights[0])} "
        f"({group.prunable_channels} channels) with none; the largest that leaves one is "
        f"{np.floor(largest * 1000) / 1000:g}. "
        "Lower it, or give this layer its own in Slim.prune.ratios"
    )
