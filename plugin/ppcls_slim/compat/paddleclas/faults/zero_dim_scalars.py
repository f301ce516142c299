"""Losses and metrics are read as tensors of one axis, and since Paddle 2.5 they have none.

Symptom: ``IndexError: too many indices`` at ``tensor.numpy()[0]`` in training, evaluation and mAP.
Versions: PaddleClas 2.4.2 with Paddle 2.5 or newer; release/2.5 and develop use ``float(tensor)``.
Delete when: the 2.4.2 wheel is not supported any more.
"""

from __future__ import annotations

import types
from pathlib import Path
from typing import Any

from ...paddle import paddle


class _WithOverrides(types.ModuleType):
    """A module that answers with its own attributes first and another module's otherwise."""

    def __init__(self, module: types.ModuleType, **overrides: Any):
        super().__init__(module.__name__)
        self.__dict__.update(overrides)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


def patch() -> None:
    """Give losses one axis, and read meters with or without one; only where the release indexes scalars."""
    from ppcls.engine.train import train  # these after find_ppcls
    from ppcls.engine.train import utils as train_utils
    from ppcls.loss import CombinedLoss
    from ppcls.metric import metrics
    from ppcls.utils import misc

    if "numpy()[0]" not in Path(train_utils.__file__).read_text(encoding="utf-8"):
        return

    def update_metric(trainer: Any, out: Any, batch: Any, batch_size: int) -> None:
        if trainer.train_metric_func is not None:
            _average(trainer, trainer.train_metric_func(out, batch[-1]), batch_size)

    def update_loss(trainer: Any, loss_dict: dict[str, Any], batch_size: int) -> None:
        _average(trainer, loss_dict, batch_size)

    def _average(trainer: Any, values: dict[str, Any], batch_size: int) -> None:
        for key, value in values.items():
            meter = trainer.output_info.setdefault(key, misc.AverageMeter(key, "7.5f"))
            meter.update(_number(value), batch_size)

    def avg_info(meter: Any) -> str:
        meter.avg = _number(meter.avg)
        return f"{meter.name}: {meter.avg:.5f}"

    call_loss = CombinedLoss.__call__

    def losses_with_axis(loss: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return {key: _one_axis(value) for key, value in call_loss(loss, *args, **kwargs).items()}

    CombinedLoss.__call__ = losses_with_axis
    for module in (train, train_utils):
        module.update_metric, module.update_loss = update_metric, update_loss
    misc.AverageMeter.avg_info = property(avg_info)
    metrics.paddle = _WithOverrides(
        paddle,
        mean=lambda *args, **kwargs: _one_axis(paddle.mean(*args, **kwargs)),
        to_tensor=lambda *args, **kwargs: _one_axis(paddle.to_tensor(*args, **kwargs)),
    )


def _number(value: Any) -> float:
    return float(value.item() if isinstance(value, paddle.Tensor) else value)


def _one_axis(value: Any) -> Any:
    return value.reshape([1]) if isinstance(value, paddle.Tensor) and value.ndim == 0 else value
