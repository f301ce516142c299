"""What a criterion is: a score for every filter of a weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ...compat.paddle import paddle
from .training_data import TrainingData

Score = Callable[[np.ndarray, Optional[np.ndarray]], np.ndarray]
Bounds = Callable[[np.ndarray], Optional[tuple[np.ndarray, np.ndarray]]]
Measure = Callable[[paddle.nn.Layer, TrainingData], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class Criterion:
    """A measure of the importance of filters; those with the lowest scores are pruned.

    ``score`` and ``bounds`` are pure functions of one array of the shape of a weight: the weight itself, or with
    ``measure`` what that returns for it.

    Attributes:
        name: as written in ``Slim.prune.name``.
        score: ``score(weight, rows)`` returns the importance ``[rows]`` of the filters ``rows`` of a weight
            ``[out_c, ...]``, or of all filters where ``rows`` is None. It follows the arithmetic of the upstream
            function, so that ties fall as they do there. This is the definition; it may be slow.
        bounds: ``bounds(weight)`` returns (estimate ``[out_c]``, margin ``[out_c]``) with ``|score - estimate| <=
            margin``, or None if no margin can be given for this weight. It should be fast: ``score`` is then called
            only for the filters that the estimates cannot decide.
        measure: of a data-driven criterion: ``measure(model, data)`` returns by parameter name what is scored in
            place of the parameters, in their shapes, for example ``weight * gradient`` of the loss over some batches.
            It leaves the model as it was.

    Example:
        >>> import numpy as np
        >>> def largest(weight, rows=None):
        ...     chosen = weight if rows is None else weight[rows]
        ...     return np.abs(chosen).reshape(len(chosen), -1).max(axis=1)
        >>> CRITERION = Criterion("largest", largest)
    """

    name: str
    score: Score
    bounds: Optional[Bounds] = None
    measure: Optional[Measure] = None
