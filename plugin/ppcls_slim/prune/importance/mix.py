"""FPGM-mix: some filters are chosen by their norm, the rest by the criterion among those that are left.

He et al., CVPR 2019, section 4.1; ``get_filter_similar`` in the authors' ``pruning_cifar10.py``.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from . import get
from .criterion import Criterion
from .selection import channels_to_prune


def mix_counts(channels: int, ratio: float, norm_ratio: float, total: Optional[int] = None) -> tuple[int, int]:
    """Split the number of channels to prune into those chosen by norm and those chosen by the criterion.

    Channels that are removed are counted as PaddleSlim counts, in total: ``round(channels * ratio)``, possibly
    aligned. Then ``total`` is given, and the part of the norm is its share of the total, rounded to the nearest whole
    number, so that both parts always add up to it. The authors' program, which zeroes filters, has no total: it
    rounds down ``channels * norm_ratio`` and ``channels * (ratio - norm_ratio)`` one by one.

    Args:
        channels: how many there are.
        ratio: share to prune, larger than 0 where ``total`` is given.
        norm_ratio: the part of ``ratio`` that is chosen by norm; 0 for plain pruning by the criterion.
        total: number to prune if it has been decided; None to count as the authors' program.

    Returns:
        (count by norm, count by the criterion).
    """
    if total is not None:
        by_norm = round(total * norm_ratio / ratio)
        return by_norm, total - by_norm
    # round(…, 9): the product of decimal fractions may fall just below a whole number.
    return int(round(channels * norm_ratio, 9)), int(round(channels * (ratio - norm_ratio), 9))


def lowest_channels(
    criterion: Criterion, weight: np.ndarray, channel_index: np.ndarray, counts: tuple[int, int]
) -> np.ndarray:
    """Return the channels to prune: first by norm, then by the criterion among the remaining filters only.

    Args:
        criterion: scores the filters.
        weight: ``[out_c, ...]``.
        channel_index: int ``[out_c]``, the prunable channel of each filter; filters with -1 are left out.
        counts: (by norm, by the criterion), see :func:`mix_counts`.
    """
    by_norm, by_criterion = counts
    if by_norm == 0:
        return channels_to_prune(criterion, weight, channel_index, by_criterion)
    small = channels_to_prune(get("l2_norm"), weight, channel_index, by_norm)
    left = (channel_index >= 0) & ~np.isin(channel_index, small)
    return np.concatenate([small, channels_to_prune(criterion, weight[left], channel_index[left], by_criterion)])
