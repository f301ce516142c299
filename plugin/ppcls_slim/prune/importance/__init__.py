"""How important each filter is: criteria (one file each in ``criteria/``) and the selection of the lowest scores.

To add a criterion, write one file ``criteria/<name>.py`` with a ``CRITERION``. From outside the project, publish an
entry point of the group ``ppcls_slim.criteria``, see :mod:`ppcls_slim.common.registry`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Optional

import numpy as np

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...config.prune import CRITERIA
from .criterion import Criterion
from .training_data import TrainingData

__all__ = ["CRITERIA", "Criterion", "TrainingData", "get", "measured", "names", "of_weights_alone"]


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
    """Return a criterion for a place that has no training batches.

    Args:
        name: ``Slim.prune.name``.
        where: the key or command that cannot give it batches, for the message.

    Raises:
        SlimError: there is no such criterion, or it needs them.
    """
    criterion = get(name)
    if criterion.measure is not None:
        weights = [other for other in names() if get(other).measure is None]
        raise SlimError(
            f"Slim.prune.name: {name} scores training batches, which {where} does not give; use one of "
            f"{', '.join(weights)} there"
        )
    return criterion


def measured(
    name: str, model: paddle.nn.Layer, data: Optional[TrainingData]
) -> tuple[Criterion, Mapping[str, np.ndarray]]:
    """Return a criterion and, by parameter name, what it scores in place of weights: nothing if it scores weights.

    Raises:
        SlimError: there is no such criterion, or it needs training batches and there are none.
    """
    if data is None:
        return of_weights_alone(name, "a plan without training"), {}
    criterion = get(name)
    return criterion, criterion.measure(model, data) if criterion.measure is not None else {}
