"""How much each group is pruned: one ratio for all, a ratio per layer, or what a share of the FLOPs takes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..common.name_patterns import expand
from ..config.prune import PruneConfig
from .analysis import Analysis, layers_of
from .dependency.groups import Group
from .importance.selection import count_to_prune

Losses = Mapping[float, float]
"""Ratio -> relative loss of accuracy, of one layer."""
Sensitivity = Mapping[str, Losses]
"""Layer -> its losses."""


@dataclass(frozen=True)
class GroupRatio:
    """The share of its channels that a group is asked to lose.

    Attributes:
        ratio: before rounding to whole channels.
        note: why it is not simply what the configuration says; else empty.
    """

    ratio: float
    note: str = ""


def skipped_groups(config: PruneConfig, analysis: Analysis) -> list[Optional[str]]:
    """Return for each group None if it may be pruned, otherwise a note that says which layer is skipped.

    Raises:
        SlimError: an entry of ``Slim.prune.skip`` matches nothing.
    """
    skipped = expand(config.skip, analysis.convolutions, "Slim.prune.skip")
    notes: list[Optional[str]] = []
    for group in analysis.groups:
        hit = next((layer for layer in layers_of(group, analysis.convolutions) if layer in skipped), None)
        notes.append(None if hit is None else f"skip: {hit}")
    return notes


def ratios_from_config(config: PruneConfig, analysis: Analysis, part: float = 1.0) -> list[GroupRatio]:
    """Return the ratio of each group by ``pruned_ratio``, ``ratios`` and ``skip``.

    Args:
        config: the ``Slim.prune`` section.
        analysis: of the dense model.
        part: of every ratio, see :class:`.step.Step`.

    Raises:
        SlimError: a name matches nothing or cannot be pruned.
    """
    asked = expand(config.ratios, analysis.convolutions, "Slim.prune.ratios")
    frozen = analysis.grouping.frozen
    for layer, pattern in asked.items():
        if layer == pattern and layer in frozen and config.ratios[pattern] > 0:
            raise SlimError(f"Slim.prune.ratios: the filters of {layer} cannot be pruned: {frozen[layer]}; remove it")
    group_ratios = []
    for group, note in zip(analysis.groups, skipped_groups(config, analysis)):
        layers = layers_of(group, analysis.convolutions)
        explicit = {layer: config.ratios[asked[layer]] for layer in layers if layer in asked}
        exact = {layer: ratio for layer, ratio in explicit.items() if asked[layer] == layer}
        if note is not None:
            group_ratios.append(GroupRatio(0.0, note))
        else:
            asked_for = _lowest(exact or explicit, config.pruned_ratio or 0.0)
            group_ratios.append(replace(asked_for, ratio=part * asked_for.ratio))
    return group_ratios


def _lowest(explicit: Mapping[str, float], default: float) -> GroupRatio:
    """Return one ratio for layers that are pruned together, the lowest of those given."""
    if not explicit:
        return GroupRatio(default)
    lowest = min(explicit.values())
    if lowest == max(explicit.values()):
        return GroupRatio(lowest)
    given = ", ".join(f"{layer} {ratio}" for layer, ratio in explicit.items())
    return GroupRatio(lowest, f"lowest of {given}, which go together")


def channel_counts(groups: Sequence[Group], group_ratios: Sequence[GroupRatio], align: int) -> list[int]:
    """Return how many channels of each group are pruned, rounded.

    Args:
        groups: of the model.
        group_ratios: one for each group.
        align: the numbers of filters kept in the root weights are multiples of this.
    """
    return [
        count_to_prune(group.prunable_channels, ratio.ratio, align_in_channels(group, align))
        if ratio.ratio > 0
        else 0
        for group, ratio in zip(groups, group_ratios)
    ]


def align_in_channels(group: Group, align: int) -> int:
    """Return the alignment counted in prunable channels: if one has several filters, fewer make a multiple."""
    filters = max(1, round(len(group.filters(group.root_weights[0]).index) / group.prunable_channels))
    return max(1, int(align // np.gcd(align, filters)))


def check_channels_left(groups: Sequence[Group], group_ratios: Sequence[GroupRatio], align: int) -> None:
    """Make sure that every group keeps a channel.

    Raises:
        SlimError: a group would keep none.
    """
    for group, ratio, count in zip(groups, group_ratios, channel_counts(groups, group_ratios, align)):
        if count < group.prunable_channels:
            continue
        largest = (group.prunable_channels - 1) / group.prunable_channels
        raise SlimError(
            f"Slim.prune: a ratio of {ratio.ratio:g} would leave {group.root_layer} "
            f"({group.prunable_channels} channels) with none; the largest that leaves one is "
            f"{np.floor(largest * 1000) / 1000:g}. "
            "Lower it, or give this layer its own in Slim.prune.ratios"
        )
