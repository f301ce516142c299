"""Which channels of each group are kept: those with the highest scores of the criterion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from ..compat.paddle import paddle
from .dependency.groups import Group
from .importance import Criterion
from .importance.group_scores import UNSCORED, check_finite, root_members
from .importance.mix import lowest_channels, mix_counts
from .ratios import GroupRatio, channel_counts


def channels_to_keep(
    model: paddle.nn.Layer,
    criterion: Criterion,
    groups: Sequence[Group],
    group_ratios: Sequence[GroupRatio],
    align: int,
    norm_ratio: float = 0.0,
) -> list[np.ndarray]:
    """Score the root weights of each group and select channels, as PaddleSlim does.

    Args:
        model: dense, with the weights to score.
        criterion: scores the filters of a weight.
        groups: of the model.
        group_ratios: one for each group.
        align: the numbers of channels kept are multiples of this.
        norm_ratio: share of the channels that is chosen by norm, see :mod:`.importance.mix`.

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
            for member in root_members(group):
                weight = np.moveaxis(tensors[member.param].numpy(), member.axis, 0)
                check_finite(member.param, weight)
                channels = len(np.unique(member.index[member.index >= 0]))
                total = count if channels == group.prunable_channels else round(channels * ratio.ratio)
                counts = mix_counts(channels, ratio.ratio, norm_ratio, min(total, channels - 1))
                keep[lowest_channels(criterion, weight, member.index, counts)] = False
            _keep_one_of_each(group, keep)
        kept.append(keep)
    return kept


def lowest_scores(
    groups: Sequence[Group],
    scores: Sequence[Optional[np.ndarray]],
    group_ratios: Sequence[GroupRatio],
    align: int,
) -> tuple[list[np.ndarray], list[GroupRatio]]:
    """Select channels by scores of whole groups.

    Args:
        groups: of the model.
        scores: for each group ``[prunable channels]``; None for groups without a score, which stay.
        group_ratios: one for each group.
        align: the numbers of channels kept are multiples of this.

    Returns:
        For each group bool ``[prunable channels]``, True for channels that are kept; and the ratios, with a note on
        groups without a score.
    """
    kept, ratios = [], []
    for group, values, ratio, count in zip(groups, scores, group_ratios, channel_counts(groups, group_ratios, align)):
        keep = np.ones(group.prunable_channels, dtype=bool)
        if values is None:
            ratio = GroupRatio(0.0, ratio.note or UNSCORED)
        else:
            keep[np.argsort(values, kind="stable")[:count]] = False
            _keep_one_of_each(group, keep)
        kept.append(keep)
        ratios.append(ratio)
    return kept, ratios


def _keep_one_of_each(group: Group, keep: np.ndarray) -> None:
    for part in group.keep_at_least_one:
        keep[part[0]] |= not keep[list(part)].any()
