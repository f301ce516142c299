"""Training curves: what every epoch did, for the page of the run. They are saved in ``.pdstates`` and resumed."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Optional

from ..compat.paddle import paddle
from ..compat.paddleclas.types import ClasEngine
from ..report.html.record import Epoch, Stage
from .hooks import Hook

LOSS = "loss"
"""What PaddleClas's training loop calls the sum of the losses."""


class Curves(Hook):
    """Notes learning rate, loss and accuracy of every epoch.

    Args:
        engine: whose evaluation is listened to from now on.
        stages: is appended to; returns those of this training, which resuming replaces.
        begun: this training, with no epoch yet.
        resumed: whether the last of the stages goes on.
    """

    def __init__(self, engine: ClasEngine, stages: Callable[[], list[Stage]], begun: Stage, resumed: bool):
        self._engine, self._stages, self._begun, self._resumed = engine, stages, begun, resumed
        self._stage: Optional[Stage] = None
        self._evaluate, engine.eval_func = engine.eval_func, self._evaluate_and_note

    def before_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """Begin an epoch, and at first the stage; epochs that are trained again are forgotten."""
        if self._stage is None:
            stages = self._stages()
            if not (self._resumed and stages):
                stages.append(self._begun)
            self._stage = stages[-1]
        self._stage.epochs = [known for known in self._stage.epochs if known.epoch < epoch]
        optimizers = self._engine.optimizer
        rate = optimizers[0].get_lr() if optimizers else None
        self._stage.epochs.append(Epoch(epoch=epoch, learning_rate=rate))

    def after_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """Take the means of the epoch, before PaddleClas forgets them."""
        means = {name: float(meter.avg) for name, meter in self._engine.output_info.items()}
        loss = means.pop(LOSS, None)
        losses = [name for name in means if "loss" in name.lower()]
        metrics = [value for name, value in means.items() if name not in losses]
        if self._stage is not None:
            current = self._stage.epochs[-1]
            current.loss, current.train = _finite(loss), _finite(metrics[0] if metrics else None)

    def _evaluate_and_note(self, engine: ClasEngine, epoch: int = 0, *args: Any, **kwargs: Any) -> Any:
        value = self._evaluate(engine, epoch, *args, **kwargs)
        current = self._stage.epochs[-1] if self._stage is not None and self._stage.epochs else None
        # An averaged model (EMA) is evaluated after the model itself, in the same epoch.
        if current is not None and current.epoch == epoch and current.evaluated is None:
            current.evaluated = _finite(value)
        return value


def _finite(value: Any) -> Optional[float]:
    number = None if value is None else float(value)
    return number if number is not None and math.isfinite(number) else None
