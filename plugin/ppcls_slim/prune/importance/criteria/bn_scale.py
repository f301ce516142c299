"""Scale of batch normalization (Liu et al., Network Slimming, ICCV 2017).

``|gamma|`` of the normalizations of a channel; no other tensor counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from ....compat.layers import batch_norms
from ....compat.paddle import paddle
from ...dependency.groups import Member
from ..criterion import Criterion
from ..training_data import TrainingData


def measure(
    model: paddle.nn.Layer, data: Optional[TrainingData], members: Sequence[Member]
) -> Sequence[Optional[np.ndarray]]:
    """Return for each scale of a normalization ``|gamma|`` ``[channels]``, None for other parameters."""
    scales = {id(layer.weight) for layer in batch_norms(model) if layer.weight is not None}
    gammas = {name: p for name, p in model.named_parameters() if id(p) in scales}
    return [np.abs(gammas[member.param].numpy()) if member.param in gammas else None for member in members]


CRITERION = Criterion("bn_scale", measure=measure, aggregation="mean", comparable=True)
