"""Channels at random: the control that every other criterion has to beat.

NumPy's global generator is used, which PaddleClas seeds with ``Global.seed``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np

from ....compat.paddle import paddle
from ...dependency.groups import Member
from ..criterion import Criterion
from ..training_data import TrainingData


def measure(
    model: paddle.nn.Layer, data: Optional[TrainingData], members: Sequence[Member]
) -> Sequence[Optional[np.ndarray]]:
    """Return uniform numbers ``[size of the axis]`` for each member."""
    return [np.random.random(len(member.index)) for member in members]


CRITERION = Criterion("random", measure=measure)
