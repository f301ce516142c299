"""How important each filter is: criteria (one file each in ``criteria/``) and the selection of the lowest scores.

To add a criterion, write one file ``criteria/<name>.py`` with a ``CRITERION``. From outside the project, publish an
entry point of the group ``ppcls_slim.criteria``, see :mod:`ppcls_slim.common.registry`.
"""

from __future__ import annotations

from typing import Optional

from ...common.errors import SlimError
from ...config.prune import CRITERIA
from .criterion import Criterion
from .training_data import TrainingData

__all__ = ["CRITERIA", "Criterion", "TrainingData", "checked_data", "get", "names", "of_weights_alone"]


def names() -> list[str]:
    """Return the names that ``Slim.prune.name`` accepts."""
    return CRITERIA.names()


def get(name: str) -> Criterion:
    """Return the criterion of this name.

    Raises:
        SlimError: there is no such criterion, or its entry point does not give a :class:`Criterion`.
    """
    return CRITERIA.get(name, Criterion)


def of_weights_alone(name: str, where: str) -> Criterion:
    """Return a criterion for a place that has no training batches and scores one weight at a time.

    Args:
        name: ``Slim.prune.name``.
        where: the key or command that cannot give it batches, for the message.

    Raises:
        SlimError: there is no such criterion, or it needs more than a weight.
    """
    criterion = get(name)
    if criterion.measure is not None:
        weights = [other for other in names() if get(other).measure is None]
        what = "scores training batches" if criterion.needs_batches else "scores more than one weight"
        raise SlimError(
            f"Slim.prune.name: {name} {what}, which {where} does not give; use one of {', '.join(weights)} there"
        )
    return criterion


def checked_data(criterion: Criterion, data: Optional[TrainingData]) -> Optional[TrainingData]:
    """Return the training batches.

    Raises:
        SlimError: the criterion needs them, and there are none.
    """
    if criterion.needs_batches and data is None:
        others = [other for other in names() if not get(other).needs_batches]
        raise SlimError(
            f"Slim.prune.name: {criterion.name} scores training batches, which a plan without training does not "
            f"give; use one of {', '.join(others)} there"
        )
    return data
