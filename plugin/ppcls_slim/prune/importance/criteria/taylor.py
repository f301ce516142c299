"""First-order Taylor expansion (Molchanov et al., Importance Estimation for Neural Network Pruning, CVPR 2019).

The squared change of the loss when a channel is set to zero, to first order (equation 8 with the sum of equation 9
inside the square): ``(sum of w * dL/dw over the elements of the channel)^2``, averaged over batches.
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
    return mean_over_batches(model, data, members, lambda weight, gradient: weight * gradient, np.square)


CRITERION = Criterion("taylor", measure=measure, needs_batches=True, aggregation="sum", comparable=True)
