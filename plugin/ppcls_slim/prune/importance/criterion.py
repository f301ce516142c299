"""What a criterion is: a score for every channel of every tensor that the channel touches."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Optional

import numpy as np

from ...compat.paddle import paddle
from ..dependency.groups import Member
from .training_data import TrainingData

Score = Callable[[np.ndarray, Optional[np.ndarray]], np.ndarray]
Bounds = Callable[[np.ndarray], Optional[tuple[np.ndarray, np.ndarray]]]
Measure = Callable[[paddle.nn.Layer, Optional[TrainingData], Sequence[Member]], Sequence[Optional[np.ndarray]]]
Aggregation = Literal["root", "sum", "mean", "max"]
Normalization = Literal["none", "mean", "max"]


@dataclass(frozen=True)
class Criterion:
    """A measure of the importance of channels; those with the lowest scores are pruned.

    A criterion has either ``score``, a function of one weight, or ``measure``, which sees the whole model and, with
    ``needs_batches``, batches of the training data.

    Attributes:
        name: as written in ``Slim.prune.name``.
        score: ``score(weight, rows)`` returns the importance ``[rows]`` of the filters ``rows`` of a weight
            ``[out_c, ...]``, or of all filters where ``rows`` is None. It follows the arithmetic of the upstream
            function, so that ties fall as they do there. This is the definition; it may be slow. For a weight that
            reads a channel it is called with the input channels first, ``[in_c, out_c * k_h * k_w]``.
        bounds: ``bounds(weight)`` returns (estimate ``[out_c]``, margin ``[out_c]``) with ``|score - estimate| <=
            margin``, or None if no margin can be given for this weight. It should be fast: ``score`` is then called
            only for the filters that the estimates cannot decide.
        measure: ``measure(model, data, members)`` returns for each member (an axis of a parameter) the importance
            ``[size of the axis]`` of its positions, or None where the criterion says nothing about it. It leaves
            the model as it was. :func:`.gradients.mean_over_batches` does the work for criteria of weights and
            gradients.
        needs_batches: ``measure`` needs training batches.
        aggregation: default of ``Slim.prune.importance.aggregation``.
        normalization: default of ``Slim.prune.importance.normalization``.
        comparable: scores of different layers are of one scale, as changes of the loss are. Where they are not,
            global ranking compares what share of its importance each layer loses.

    Example:
        >>> import numpy as np
        >>> def largest(weight, rows=None):
        ...     chosen = weight if rows is None else weight[rows]
        ...     return np.abs(chosen).reshape(len(chosen), -1).max(axis=1)
        >>> CRITERION = Criterion("largest", largest)
    """

    name: str
    score: Optional[Score] = None
    bounds: Optional[Bounds] = None
    measure: Optional[Measure] = None
    needs_batches: bool = False
    aggregation: Aggregation = "root"
    normalization: Normalization = "none"
    comparable: bool = False

    def __post_init__(self) -> None:
        if (self.score is None) == (self.measure is None):
            raise ValueError(f"criterion {self.name}: give it either score or measure")

    def scores(self, weight: np.ndarray, rows: Optional[np.ndarray] = None) -> np.ndarray:
        """Return :attr:`score` of a criterion that scores weights alone."""
        assert self.score is not None, self.name
        return self.score(weight, rows)
