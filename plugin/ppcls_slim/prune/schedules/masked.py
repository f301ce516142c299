"""Masked pruning, as the program of FPGM's authors: gradients are masked where filters are zero."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

import numpy as np

from ...compat.paddle import paddle
from ...config.prune import PruneConfig, ScheduleConfig
from ..analysis import Analysis
from .base import Schedule
from .choose import Choice, Positions
from .mask_state import MaskState


class MaskedSchedule(Schedule):
    """Gradients of the loss are masked where filters are zero.

    Weight decay and the velocity that a filter had still move it, until it is zeroed again (``do_grad_mask`` in the
    authors' ``pruning_cifar10.py``).
    """

    def __init__(self, config: PruneConfig, settings: ScheduleConfig, analysis: Analysis, choice: Choice) -> None:
        super().__init__(config, settings, analysis, choice)
        self._masks: dict[str, paddle.Tensor] = {}

    def start(self, model: paddle.nn.Layer, resumed: Optional[MaskState] = None) -> None:
        """See :meth:`Schedule.start`; the first choice is made now."""
        super().start(model, resumed)
        if resumed is None:
            self.choose_and_zero(model)
        else:
            self._prepare(model, self.choice.positions(resumed.chosen))
        for name, parameter in model.named_parameters():
            if not parameter.stop_gradient:
                parameter.register_hook(self._gradient_hook(name))

    def _prepare(self, model: paddle.nn.Layer, positions: Positions) -> None:
        self._masks.clear()
        parameters = dict(model.named_parameters())
        for name, axis, places in positions:
            if name not in parameters or parameters[name].stop_gradient:
                continue  # running statistics
            shape = [1] * len(parameters[name].shape)
            shape[axis] = -1
            mask = np.ones(parameters[name].shape[axis], dtype=np.float32)
            mask[places] = 0
            mask = paddle.to_tensor(mask.reshape(shape)).astype(parameters[name].dtype)
            self._masks[name] = self._masks[name] * mask if name in self._masks else mask

    def _gradient_hook(self, name: str) -> Callable[[paddle.Tensor], paddle.Tensor]:
        def hook(gradient: paddle.Tensor) -> paddle.Tensor:
            return gradient * self._masks[name] if name in self._masks else gradient

        return hook
