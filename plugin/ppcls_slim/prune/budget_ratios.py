"""Ratios that meet a budget, by sensitivity or with one ratio for all groups.

As PaddleSlim's ``FilterPruner.sensitive_prune``: a level is searched by bisection, at which every group loses as many
channels as the level allows. By sensitivity the level is the tolerated loss of accuracy, otherwise it is the ratio.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Optional

import numpy as np

from .analysis import Analysis
from .budget import Budget
from .dependency.groups import Group
from .ratios import GroupRatio, Losses, Sensitivity, channel_counts
from .slices import param_slices

_BISECTIONS = 40


def ratios_for_budget(
    analysis: Analysis,
    skipped: Sequence[Optional[str]],
    budget: Budget,
    align: int,
    sensitivity: Optional[Sensitivity],
) -> list[GroupRatio]:
    """Return the ratios at the lowest level that meets a budget.

    Args:
        analysis: of the dense model.
        skipped: for each group None if it may be pruned, otherwise why not.
        budget: share of the FLOPs or parameters to remove.
        align: the numbers of channels kept are multiples of this.
        sensitivity: losses of accuracy; None for one ratio for all groups.

    Raises:
        SlimError: the budget cannot be met.
    """
    groups = analysis.groups

    def ratios_at(level: float) -> list[GroupRatio]:
        return [
            GroupRatio(0.0, note) if note else GroupRatio(_ratio_at(group, level, sensitivity))
            for group, note in zip(groups, skipped)
        ]

    def removed_at(level: float) -> float:
        counts = channel_counts(groups, ratios_at(level), align)
        return budget.share_removed(_shapes_after(groups, counts, analysis.shapes))

    high = _highest_level(groups, skipped, sensitivity)
    if removed_at(high) < budget.share:
        raise budget.out_of_reach(removed_at(high))
    level = _smallest(lambda x: removed_at(x) >= budget.share, high)
    how = f"loss of at most {level:.4f}" if sensitivity else f"ratio {level:.4f}"
    note = f"{how} for {budget.share:g} of the {budget.unit}"
    return [replace(ratio, note=ratio.note or note) for ratio in ratios_at(level)]


def ratio_for_loss(losses: Losses, loss: float) -> float:
    """Return the largest ratio that loses at most ``loss``, as PaddleSlim's ``FilterPruner._get_ratios_by_loss``.

    Args:
        losses: ratio -> relative loss of accuracy; ratios in between are interpolated.
        loss: the tolerated one.
    """
    points = sorted(losses.items())
    for i in range(len(points) - 1, -1, -1):
        ratio, value = points[i]
        if value <= loss:
            if i == len(points) - 1:
                return float(ratio)
            next_ratio, next_value = points[i + 1]
            return float(ratio + (loss - value) * (next_ratio - ratio) / (next_value - value))
    return 0.0


def _shapes_after(
    groups: Sequence[Group], counts: Sequence[int], shapes: Mapping[str, Sequence[int]]
) -> dict[str, tuple[int, ...]]:
    """Return the shapes after pruning that many channels of each group, whichever they are."""
    kept = [np.arange(group.prunable_channels) >= count for group, count in zip(groups, counts)]
    return {name: piece.kept_shape() for name, piece in param_slices(groups, kept, shapes).items()}


def _ratio_at(group: Group, level: float, sensitivity: Optional[Sensitivity]) -> float:
    if sensitivity is None:
        return min(level, _largest_ratio(group))
    losses = sensitivity.get(group.root_layer)
    return ratio_for_loss(losses, level) if losses else 0.0


def _highest_level(
    groups: Sequence[Group], skipped: Sequence[Optional[str]], sensitivity: Optional[Sensitivity]
) -> float:
    if sensitivity is None:
        return max((_largest_ratio(group) for group, note in zip(groups, skipped) if not note), default=0.0)
    return max((loss for losses in sensitivity.values() for loss in losses.values()), default=0.0)


def _largest_ratio(group: Group) -> float:
    """Return the ratio at which one channel is left."""
    return (group.prunable_channels - 1) / group.prunable_channels


def _smallest(holds: Callable[[float], bool], high: float) -> float:
    """Return the smallest number up to ``high`` for which a condition holds that stays true above it."""
    low = 0.0
    for _ in range(_BISECTIONS):
        middle = (low + high) / 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
