"""The importance of every prunable channel: one vector for each tensor that it touches, made into one number."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Optional

import numpy as np

from ...common.errors import SlimError
from ...compat.layers import batch_norms, running_stats
from ...compat.paddle import paddle
from ..dependency.groups import Group, Member
from . import checked_data
from .criterion import Aggregation, Criterion, Normalization
from .training_data import TrainingData

UNSCORED = "no tensor of these channels has a score"


def group_scores(
    model: paddle.nn.Layer,
    criterion: Criterion,
    groups: Sequence[Group],
    aggregation: Aggregation,
    normalization: Normalization,
    data: Optional[TrainingData] = None,
) -> list[Optional[np.ndarray]]:
    """Score the channels of each group.

    Args:
        model: dense, with the weights to score; it is left as it was.
        criterion: scores the channels of one tensor.
        groups: of the model.
        aggregation: ``root`` takes the filters of the root weight only, as PaddleSlim; ``sum``, ``mean`` and ``max``
            are over all tensors that a channel touches: filters, scales and shifts of normalizations, depthwise
            filters behind it, input slices of all consumers.
        normalization: what the vector of each tensor is divided by before: nothing, its mean, or its largest value.
        data: training batches.

    Returns:
        For each group float64 ``[prunable channels]``, None where the criterion scores none of its tensors.

    Raises:
        SlimError: a weight that has to be scored or a gradient is not finite, or there are no training batches.
    """
    statistics = {id(value) for norm in batch_norms(model) for value in running_stats(norm)}
    parameters = {name: p for name, p in model.named_parameters() if id(p) not in statistics}
    members = [_scored_members(group, parameters.keys(), aggregation) for group in groups]
    flat = [member for own in members for member in own]
    if criterion.measure is not None:
        positions = list(criterion.measure(model, checked_data(criterion, data), flat))
    else:
        positions = [_scores_of_weight(criterion, parameters[member.param].numpy(), member) for member in flat]
    scores: list[Optional[np.ndarray]] = []
    for group, own in zip(groups, members):
        vectors = [
            _of_channels(vector, member, group.prunable_channels, add_up=criterion.measure is not None)
            for member, vector in zip(own, positions[: len(own)])
            if vector is not None
        ]
        positions = positions[len(own) :]
        scores.append(_aggregated([_normalized(v, normalization) for v in vectors], aggregation))
    return scores


def root_members(group: Group) -> list[Member]:
    """Return for each root weight which channel each of its filters decides about.

    The index is -1 for filters whose channel belongs to an earlier root weight, or to no channel of the group.
    """
    seen = np.zeros(group.prunable_channels, dtype=bool)
    found = []
    for root_weight in group.root_weights:
        filters = group.filters(root_weight)
        own = np.where((filters.index >= 0) & ~seen[filters.index], filters.index, -1)
        seen[own[own >= 0]] = True
        found.append(Member(root_weight, filters.axis, own))
    return found


def check_finite(name: str, weight: np.ndarray) -> None:
    """Raise a SlimError if a weight has values that are not finite, which have no order."""
    if not np.isfinite(weight).all():
        raise SlimError(
            f"{name} has values that are not finite: prune from a sound checkpoint, or lower the learning rate"
        )


def _scored_members(group: Group, parameters: Collection[str], aggregation: Aggregation) -> list[Member]:
    if aggregation == "root":
        return root_members(group)
    return [member for member in group.members if member.param in parameters]


def _scores_of_weight(criterion: Criterion, weight: np.ndarray, member: Member) -> np.ndarray:
    """Scores ``[size of the axis]``; from the fast estimate where there is one, since ties do not matter here."""
    check_finite(member.param, weight)
    rows = np.ascontiguousarray(np.moveaxis(weight, member.axis, 0))
    estimate = criterion.bounds(rows) if criterion.bounds is not None else None
    return criterion.scores(rows) if estimate is None else estimate[0]


def _of_channels(vector: np.ndarray, member: Member, channels: int, add_up: bool) -> np.ndarray:
    """From positions of an axis to channels: their sum or mean; NaN for channels that the axis does not touch."""
    there = member.index >= 0
    index = member.index[there]
    totals = np.bincount(index, weights=np.asarray(vector, dtype=np.float64)[there], minlength=channels)
    counts = np.bincount(index, minlength=channels)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(counts > 0, totals if add_up else totals / counts, np.nan)


def _normalized(vector: np.ndarray, normalization: Normalization) -> np.ndarray:
    touched = vector[~np.isnan(vector)]
    if normalization == "none" or not touched.size:
        return vector
    scale = touched.mean() if normalization == "mean" else touched.max()
    return vector / scale if scale > 0 else vector


def _aggregated(vectors: Sequence[np.ndarray], aggregation: Aggregation) -> Optional[np.ndarray]:
    if not vectors:
        return None
    stacked = np.stack(vectors)
    touched = ~np.isnan(stacked)
    if not touched.any(axis=0).all():
        return None
    stacked = np.where(touched, stacked, 0.0)
    if aggregation == "max":
        return np.asarray(np.where(touched, stacked, -np.inf).max(axis=0))
    total = np.asarray(stacked.sum(axis=0))
    return total / touched.sum(axis=0) if aggregation == "mean" else total
