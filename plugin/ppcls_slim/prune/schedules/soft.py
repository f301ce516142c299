"""Soft filter pruning (He et al., IJCAI 2018): zeroed filters may grow again until the next choice."""

from __future__ import annotations

from collections import Counter
from typing import Optional

import numpy as np

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...config.prune import PruneConfig, ScheduleConfig
from ...graph.model import tensors_of
from ..analysis import Analysis
from ..masking import fill_positions
from .base import Schedule
from .choose import Choice, Positions
from .mask_state import MaskState


class SoftSchedule(Schedule):
    """Zeroed filters may grow again.

    Scales and shifts of their normalization, which are zeroed with them, are restored before every epoch: a ReLU
    would pass no gradient to a filter behind a scale and shift of zero.

    Attributes:
        affine: scales, shifts and biases that were zeroed -> their values before, group by group.
    """

    def __init__(self, config: PruneConfig, settings: ScheduleConfig, analysis: Analysis, choice: Choice) -> None:
        super().__init__(config, settings, analysis, choice)
        self.affine: dict[str, list[float]] = {}

    def start(self, model: paddle.nn.Layer, resumed: Optional[MaskState] = None) -> None:
        """See :meth:`Schedule.start`; the first choice is made after the first epoch."""
        super().start(model, resumed)
        if resumed is not None:
            self.affine = dict(resumed.affine)
            needed: Counter[str] = Counter()
            for name, _, places in self.choice.positions(resumed.chosen):
                needed[name] += len(places)
            if any(len(values) != needed[name] for name, values in self.affine.items()):
                raise SlimError("the scales and shifts to restore do not fit what the checkpoint says is zero")

    def restore_masked_affine(self, model: paddle.nn.Layer) -> None:
        """Restore masked scales, shifts and biases before an epoch."""
        tensors = tensors_of(model)
        left = {name: iter(values) for name, values in self.affine.items()}
        for name, axis, places in self.choice.positions(self.chosen or {}):
            if name in left:
                values = np.fromiter(left[name], np.float32, count=len(places))
                fill_positions(tensors[name], axis, places, values)

    def record(self) -> MaskState:
        """See :meth:`Schedule.record`."""
        return super().record().with_affine(self.affine)

    def _prepare(self, model: paddle.nn.Layer, positions: Positions) -> None:
        tensors = tensors_of(model)
        self.affine = {}
        for name, _, places in positions:
            if tensors[name].ndim == 1 and not tensors[name].stop_gradient:
                # Several groups have channels in a normalization behind a concatenation.
                self.affine.setdefault(name, []).extend(tensors[name].numpy()[places].tolist())
