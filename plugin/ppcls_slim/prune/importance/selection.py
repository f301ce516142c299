"""Select the channels with the lowest scores: the set that PaddleSlim selects, also where scores tie."""

from __future__ import annotations

from typing import Optional, Union

import numpy as np

from .criterion import Criterion

# The filters of each prunable channel: int [channels, filters], or a list of arrays where their numbers differ.
Positions = Union[np.ndarray, list[np.ndarray]]


def count_to_prune(channels: int, ratio: float, align: int = 1) -> int:
    """Return how many of ``channels`` a ratio removes.

    Without alignment ``round(channels * ratio)``, as ``FPGMFilterPruner.cal_mask``. With alignment the number of
    channels kept is rounded to the nearest multiple, as ``FilterPruner._round_to``: at least one multiple, and never
    more channels than there are.

    Returns:
        A count from 0 to ``channels``; ``channels`` means that none would be left.
    """
    if align > 1:
        kept = max(round((1 - ratio) * channels / align) * align, align)
        return max(channels - kept, 0)
    return min(round(channels * ratio), channels)


def channels_to_prune(criterion: Criterion, weight: np.ndarray, channel_index: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` channels with the lowest scores, ascending.

    The score of a prunable channel is the mean over its filters, as PaddleSlim averages over the groups of a grouped
    convolution. The set is the one that ``numpy.argsort`` of the criterion's own scores gives, also where scores tie:
    estimates decide only where their margins allow it.

    Args:
        criterion: scores the filters.
        weight: ``[out_c, in_c, k_h, k_w]``, usually the root weight of a group.
        channel_index: int ``[out_c]``, the prunable channel of each filter; filters with -1 are left out.
        count: channels to prune, from 0 to one less than there are.
    """
    channels, positions = _filters_by_channel(channel_index)
    if count <= 0:
        return channels[:0]
    estimate = criterion.bounds(weight) if criterion.bounds else None
    chosen = None
    if estimate is not None:
        scores, margins = (_channel_means(values, positions) for values in estimate)
        chosen = _lowest_by_estimate(criterion, weight, positions, scores, margins, count)
    if chosen is None:
        chosen = _channel_means(criterion.scores(weight, None), positions).argsort()[:count]
    return np.sort(channels[chosen])


def _filters_by_channel(channel_index: np.ndarray) -> tuple[np.ndarray, Positions]:
    """Return the channels and, for each, the positions of its filters."""
    order = np.argsort(channel_index, kind="stable")
    order = order[channel_index[order] >= 0]
    channels, starts, sizes = np.unique(channel_index[order], return_index=True, return_counts=True)
    if len(set(sizes.tolist())) == 1:
        return channels, order.reshape(len(channels), -1)
    return channels, np.split(order, starts[1:])


def _channel_means(values: np.ndarray, positions: Positions) -> np.ndarray:
    """Average values of filters ``[out_c]`` over the filters of each channel."""
    if not isinstance(positions, np.ndarray):
        return np.array([values[p].mean() for p in positions])
    if positions.shape[1] == 1:
        return values[positions[:, 0]]
    # One reduction over a matrix, as upstream: the same order of additions, the same rounding.
    return values[positions].mean(axis=1)


def _lowest_by_estimate(
    criterion: Criterion,
    weight: np.ndarray,
    positions: Positions,
    scores: np.ndarray,
    margins: np.ndarray,
    count: int,
) -> Optional[np.ndarray]:
    """Return the ``count`` lowest channels; None where exact scores tie across the boundary.

    Channels whose interval ``score ± margin`` does not reach the boundary are decided by the estimate. Exact scores
    are computed for the others only.
    """
    low, high = scores - margins, scores + margins
    # Certainly among the lowest: at most count - 1 other channels can have a lower score.
    can_be_lower = np.searchsorted(np.sort(low), high, side="right") - 1
    certain = can_be_lower <= count - 1
    surely_lower = np.searchsorted(np.sort(high), low, side="left")
    undecided = np.flatnonzero(~certain & (surely_lower < count))
    missing = count - int(certain.sum())
    if missing == 0:
        return np.flatnonzero(certain)
    rows = np.concatenate([positions[channel] for channel in undecided])
    values = np.full(len(weight), np.nan, dtype=weight.dtype)
    values[rows] = criterion.scores(weight, rows)
    matrix = isinstance(positions, np.ndarray)
    exact = _channel_means(values, positions[undecided] if matrix else [positions[channel] for channel in undecided])
    order = np.argsort(exact, kind="stable")
    if missing < len(order) and exact[order[missing - 1]] == exact[order[missing]]:
        return None
    return np.concatenate([np.flatnonzero(certain), undecided[order[:missing]]])
