"""Choose the channels to prune: the lowest scores, as PaddleSlim chooses them, ties included."""

from __future__ import annotations

from typing import Union

import numpy as np

from . import Criterion

# Positions of the filters of each channel: int [channels, filters], or a list where the numbers differ.
Positions = Union[np.ndarray, list[np.ndarray]]


def count_to_prune(channels: int, ratio: float, align: int = 1) -> int:
    """How many of ``channels`` a ratio removes.

    Without alignment ``round(channels * ratio)`` as in ``FPGMFilterPruner.cal_mask``; with it, the channels
    kept are rounded to the nearest multiple as in ``FilterPruner._round_to``, at least one multiple
    and never more than there are.

    Returns:
        A count from 0 to ``channels``; ``channels`` means that nothing would be left.
    """
    if align > 1:
        kept = max(round((1 - ratio) * channels / align) * align, align)
        return max(channels - kept, 0)
    return min(round(channels * ratio), channels)


def channels_to_prune(criterion: Criterion, weight: np.ndarray, channel_index: np.ndarray, count: int) -> np.ndarray:
    """Return the ``count`` channels with the lowest scores, sorted.

    A channel's score is the mean over its filters (PaddleSlim averages over the groups of a grouped
    convolution in the same way). The set is the one that ``numpy.argsort`` of the criterion's own
    scores gives, also where scores tie: estimates decide only where their margins allow it.

    Args:
        criterion: see :class:`Criterion`.
        weight: ``[out_c, in_c, k_h, k_w]`` of the root_weight.
        channel_index: int ``[out_c]``, channel of each filter; filters with -1 have no say.
        count: channels to prune, from 0 to one less than there are.
    """
    ids, positions = _by_unit(channel_index)
    if count <= 0:
        return ids[:0]
    estimate = criterion.bounds(weight) if criterion.bounds else None
    chosen = None
    if estimate is not None:
        scores, margins = (_mean(values, positions) for values in estimate)
        chosen = _decide(criterion, weight, positions, scores, margins, count)
    if chosen is None:
        chosen = _mean(criterion.score(weight, None), positions).argsort()[:count]
    return np.sort(ids[chosen])


def _by_unit(channel_index: np.ndarray) -> tuple[np.ndarray, Positions]:
    """Return the channel ids and, for each, the positions of its filters."""
    order = np.argsort(channel_index, kind="stable")
    order = order[channel_index[order] >= 0]
    ids, starts, sizes = np.unique(channel_index[order], return_index=True, return_counts=True)
    if len(set(sizes.tolist())) == 1:
        return ids, order.reshape(len(ids), -1)
    return ids, np.split(order, starts[1:])


def _mean(values: np.ndarray, positions: Positions) -> np.ndarray:
    if not isinstance(positions, np.ndarray):
        return np.array([values[p].mean() for p in positions])
    if positions.shape[1] == 1:
        return values[positions[:, 0]]
    # One reduction over a matrix, as upstream: same order of additions, same rounding.
    return values[positions].mean(axis=1)


def _decide(
    criterion: Criterion,
    weight: np.ndarray,
    positions: Positions,
    scores: np.ndarray,
    margins: np.ndarray,
    count: int,
) -> np.ndarray | None:
    """Return the ``count`` lowest channels; None where exact scores tie across the boundary."""
    low, high = scores - margins, scores + margins
    # Below the boundary for sure: at most count - 1 others can possibly be lower.
    can_be_lower = np.searchsorted(np.sort(low), high, side="right") - 1
    certain = can_be_lower <= count - 1
    surely_lower = np.searchsorted(np.sort(high), low, side="left")
    open_channels = np.flatnonzero(~certain & (surely_lower < count))
    missing = count - int(certain.sum())
    if missing == 0:
        return np.flatnonzero(certain)
    asked = np.concatenate([positions[channel] for channel in open_channels])
    values = np.full(len(weight), np.nan, dtype=weight.dtype)
    values[asked] = criterion.score(weight, asked)
    matrix = isinstance(positions, np.ndarray)
    exact = _mean(values, positions[open_channels] if matrix else [positions[channel] for channel in open_channels])
    order = np.argsort(exact, kind="stable")
    if missing < len(order) and exact[order[missing - 1]] == exact[order[missing]]:
        return None
    return np.concatenate([np.flatnonzero(certain), open_channels[order[:missing]]])
