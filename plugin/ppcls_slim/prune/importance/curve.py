"""How the importance of the channels of a group is spread, for the page of a run."""

from __future__ import annotations

import numpy as np

from ...compat.paddle import paddle
from ..plan import Plan
from . import get
from .criterion import Criterion

POINTS = 33
"""Quantiles that are kept of the scores of wider groups."""


def importance_curves(model: paddle.nn.Layer, plan: Plan) -> dict[str, list[float]]:
    """Return root weight -> its scores, ascending and relative to the largest; at most ``POINTS`` quantiles of them.

    Args:
        model: dense, with the weights that were scored.
        plan: of it.

    Returns:
        Nothing for criteria that measure on batches: their scores are gone.
    """
    criterion = get(plan.criterion)
    if criterion.score is None:
        return {}
    tensors = model.state_dict()
    curves = {}
    for decision in plan.decisions:
        weight = tensors[decision.root_weight].numpy()
        if weight.ndim == 4 and weight.shape[0] % decision.prunable_channels == 0:
            scores = _curve(criterion, weight)
            if scores:
                curves[decision.root_weight] = scores
    return curves


def _curve(criterion: Criterion, weight: np.ndarray) -> list[float]:
    """Sorted scores of the filters ``[out_c, ...]``; the estimates of a criterion that has them are near enough."""
    bounds = criterion.bounds(weight) if criterion.bounds is not None else None
    scores = np.sort(np.asarray(bounds[0] if bounds is not None else criterion.scores(weight), dtype=np.float64))
    largest = scores[-1]
    if not np.isfinite(scores).all() or largest <= 0:
        return []
    if len(scores) > POINTS:
        scores = np.quantile(scores, np.linspace(0.0, 1.0, POINTS))
    return [round(float(value), 4) for value in np.maximum(scores, 0.0) / largest]
