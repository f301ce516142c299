"""Second-order importance with the diagonal of the Hessian (LeCun et al., Optimal Brain Damage, 1989, equation 5).

``1/2 * sum of h * w^2`` over the elements of the channel; ``h`` is estimated by the mean squared gradient of a batch
(the empirical Fisher information, as in Theis et al., Faster Gaze Prediction, 2018, equation 7).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from ....compat.paddle import paddle
from ...dependency.groups import Member
from ..criterion import Criterion
from ..gradients import mean_over_batches
from ..training_data import TrainingData


def measure(
    model: paddle.nn.Layer, data: Optional[TrainingData], members: Sequence[Member]
) -> Sequence[Optional[np.ndarray]]:
    """Return for each member the importance ``[size of the axis]`` of its positions."""
    assert data is not None, "needs_batches"
    return mean_over_batches(model, data, members, _half_curvature)


def _half_curvature(weight: paddle.Tensor, gradient: paddle.Tensor) -> paddle.Tensor:
    return 0.5 * (weight * gradient).square()


CRITERION = Criterion("hessian", measure=measure, needs_batches=True, aggregation="sum", comparable=True)
