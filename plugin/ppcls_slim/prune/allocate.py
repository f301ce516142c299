"""How many units each group keeps: one ratio, a ratio per layer, by sensitivity, by FLOPs; aligned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from ..config import PruneConfig
from ..errors import SlimError
from .cost import Cost
from .groups import Group, Grouping, layer_of
from .patterns import expand
from .select import count_to_prune
from .surgery import make_cuts

Sensitivity = Mapping[str, Mapping[float, float]]
_BISECTIONS = 40


@dataclass(frozen=True)
class Allocation:
    """What one group is asked to give up.

    Attributes:
        ratio: share of its units, before rounding.
        note: why it is not simply what the configuration says, or empty.
    """

    ratio: float
    note: str = ""


def layers_of(group: Group, convolutions: Sequence[str]) -> list[str]:
    """Convolutions whose filters belong to the group, the first master in front."""
    own = [layer_of(m.param) for m in group.members if m.produces and layer_of(m.param) in convolutions]
    return sorted(dict.fromkeys(own), key=lambda layer: layer != layer_of(group.masters[0]))


def allocate(
    config: PruneConfig,
    grouping: Grouping,
    convolutions: Sequence[str],
    cost: Cost,
    shapes: Mapping[str, Sequence[int]],
    align: int,
    sensitivity: Optional[Sensitivity] = None,
) -> list[Allocation]:
    """Return one allocation per group.

    Args:
        config: the ``Slim.prune`` section.
        grouping: the analysis of the model.
        convolutions: names of all its convolutions, in order.
        cost: of the dense model.
        shapes: shape of every parameter and buffer of the dense model.
        align: multiple that kept units are rounded to.
        sensitivity: layer -> ratio -> loss of accuracy, for ``pruned_flops`` by sensitivity.

    Raises:
        SlimError: a name matches nothing or cannot be pruned, a layer would be left without a
            channel, or the FLOPs cannot be reached.
    """
    free = _without_skipped(config, grouping, convolutions)
    if config.pruned_flops is None:
        allocations = _by_ratio(config, grouping, convolutions, free)
    else:
        allocations = _by_flops(config, grouping, convolutions, free, cost, shapes, align, sensitivity)
    for group, allocation in zip(grouping.groups, allocations):
        _check_something_left(config, group, allocation, align)
    return allocations


def counts(groups: Sequence[Group], allocations: Sequence[Allocation], align: int) -> list[int]:
    """Units to prune of each group, rounded; alignment counts channels of the master."""
    return [
        count_to_prune(g.units, a.ratio, unit_align(g, align)) if a.ratio > 0 else 0
        for g, a in zip(groups, allocations)
    ]


def unit_align(group: Group, align: int) -> int:
    """The alignment in units: a unit of several channels needs fewer of them for a multiple."""
    per_unit = max(1, round(len(group.filters(group.masters[0]).index) / group.units))
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
) -> list[Allocation]:
    asked = expand(config.ratios, convolutions, "Slim.prune.ratios")
    for layer, pattern in asked.items():
        if layer == pattern and layer in grouping.frozen and config.ratios[pattern] > 0:
            raise SlimError(
                f"Slim.prune.ratios: the filters of {layer} cannot be pruned: {grouping.frozen[layer]}; remove it"
            )
    allocations = []
    for group, reason in zip(grouping.groups, free):
        layers = layers_of(group, convolutions)
        explicit = {layer: config.ratios[asked[layer]] for layer in layers if layer in asked}
        exact = {layer: ratio for layer, ratio in explicit.items() if asked[layer] == layer}
        allocations.append(_agreed(exact or explicit, config.pruned_ratio, reason))
    return allocations


def _agreed(explicit: Mapping[str, float], default: Optional[float], skipped: Optional[str]) -> Allocation:
    """One ratio for layers that go together; where they were given different ones, the lowest."""
    if skipped is not None:
        return Allocation(0.0, skipped)
    if not explicit:
        return Allocation(default or 0.0)
    lowest = min(explicit.values())
    if lowest == max(explicit.values()):
        return Allocation(lowest)
    return Allocation(lowest, f"lowest of {_listed(explicit)}, which go together")


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
) -> list[Allocation]:
    """The smallest common ratio, or the smallest tolerated loss, that removes the share of FLOPs."""
    target = config.pruned_flops or 0.0

    def ratios_at(level: float) -> list[Allocation]:
        return [
            Allocation(0.0, reason) if reason else Allocation(_ratio_at(group, level, sensitivity))
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
    """Shapes after pruning that many units of each group, whichever they are."""
    kept = [np.arange(group.units) >= count for group, count in zip(groups, pruned)]
    return {name: cut.kept_shape() for name, cut in make_cuts(groups, kept, shapes).items()}


def _ratio_at(group: Group, level: float, sensitivity: Optional[Sensitivity]) -> float:
    if sensitivity is None:
        return min(level, (group.units - 1) / group.units)
    losses = sensitivity.get(layer_of(group.masters[0]))
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
        return max(((g.units - 1) / g.units for g, r in zip(grouping.groups, free) if not r), default=0.0)
    return max((loss for losses in sensitivity.values() for loss in losses.values()), default=0.0)


def _smallest(holds: Callable[[float], bool], high: float) -> float:
    low = 0.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _check_something_left(config: PruneConfig, group: Group, allocation: Allocation, align: int) -> None:
    if allocation.ratio <= 0 or count_to_prune(group.units, allocation.ratio, unit_align(group, align)) < group.units:
        return
    largest = (group.units - 1) / group.units
    raise SlimError(
        f"Slim.prune: a ratio of {allocation.ratio:g} would leave {layer_of(group.masters[0])} "
        f"({group.units} channels) with none; the largest that leaves one is {np.floor(largest * 1000) / 1000:g}. "
        "Lower it, or give this layer its own in Slim.prune.ratios"
    )
