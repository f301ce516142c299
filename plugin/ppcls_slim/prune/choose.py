"""Which channels of each group are kept: those with the highest scores of the criterion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from ..common.errors import SlimError
from ..compat.paddle import paddle
from .dependency.groups import Group
from .importance import Criterion
from .importance.mix import lowest_channels, mix_counts
from .ratios import GroupRatio, channel_counts


def channels_to_keep(
    model: paddle.nn.Layer,
    criterion: Criterion,
    groups: Sequence[Group],
    group_ratios: Sequence[GroupRatio],
    align: int,
    norm_ratio: float = 0.0,
    measured: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> list[np.ndarray]:
    """Score the root weights of each group and select channels.

    Args:
        model: dense, with the weights to score.
        criterion: scores the filters.
        groups: of the model.
        group_ratios: one for each group.
        align: the numbers of channels kept are multiples of this.
        norm_ratio: share of the channels that is chosen by norm, see :mod:`.importance.mix`.
        measured: by parameter name, what is scored in place of the weights.

    Returns:
        For each group bool ``[prunable channels]``, True for channels that are kept.

    Raises:
        SlimError: a weight that has to be scored is not finite.
    """
    tensors = model.state_dict()
    kept = []
    for group, ratio, count in zip(groups, group_ratios, channel_counts(groups, group_ratios, align)):
        keep = np.ones(group.prunable_channels, dtype=bool)
        if count:
            for root_weight, channel_index in _scored_filters(group):
                axis = group.filters(root_weight).axis
                weight = np.moveaxis(measured.get(root_weight, tensors[root_weight].numpy()), axis, 0)
                check_finite(root_weight, weight)
                channels = len(np.unique(channel_index[channel_index >= 0]))
                total = count if channels == group.prunable_channels else round(channels * ratio.ratio)
                counts = mix_counts(channels, ratio.ratio, norm_ratio, min(total, channels - 1))
                keep[lowest_channels(criterion, weight, channel_index, counts)] = False
            for part in group.keep_at_least_one:
                keep[part[0]] |= not keep[list(part)].any()
        kept.append(keep)
    return kept


def check_finite(name: str, weight: np.ndarray) -> None:
    """Raise a SlimError if a weight has values that are not finite, which have no order."""
    if not np.isfinite(weight).all():
        raise SlimError(
            f"{name} has values that are not finite: prune from a sound checkpoint, or lower the learning rate"
        )


def _scored_filters(group: Group) -> list[tuple[str, np.ndarray]]:
    """Return for each root weight which channel each of its filters decides about.

    Returns:
        (root weight, int ``[out_c]``): -1 for filters whose channel belongs to an earlier root weight, or to no
        channel of the group.
    """
    seen = np.zeros(group.prunable_channels, dtype=bool)
    found = []
    for root_weight in group.root_weights:
        index = group.filters(root_weight).index
        own = np.where((index >= 0) & ~seen[index], index, -1)
        seen[own[own >= 0]] = True
        found.append((root_weight, own))
    return found
