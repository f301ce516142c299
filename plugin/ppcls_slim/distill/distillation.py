"""Add what a teacher says to a student's training loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional

from ..compat.paddle import paddle
from ..config.distill import DistillConfig
from .features import Watch
from .losses import feature_loss, kl_loss, logits_of

Losses = Mapping[str, paddle.Tensor]
"""Name -> value as PaddleClas logs it; the one named ``loss`` is minimized."""
LOSS = "loss"
KL = "DistillLoss"
FEATURES = "FeatureLoss"


class Distillation:
    """A teacher, and the student that sees the same batches.

    The teacher runs when the student does in training mode, before it, so that it never sees evaluation data. It is
    not a part of the student: what saves, averages or exports the student does not see it.

    Args:
        teacher: gives logits ``[n, classes]``; is put into evaluation mode, and is not trained.
        settings: weight and temperature.
        features: layer of both -> weight.
    """

    def __init__(self, teacher: paddle.nn.Layer, settings: DistillConfig, features: Mapping[str, float]):
        self._teacher, self._settings, self._features = teacher, settings, dict(features)
        teacher.eval()
        for parameter in teacher.parameters():
            parameter.stop_gradient = True
        self._theirs = Watch(teacher, self._features)
        self._ours: Optional[Watch] = None
        self._hook: Any = None
        self._logits: Any = None

    def attach(self, student: paddle.nn.Layer) -> None:
        """Let the teacher see every batch that the student is trained with."""
        self._ours = Watch(student, self._features)
        self._hook = student.register_forward_pre_hook(self._teach)

    def detach(self) -> None:
        """Leave the student as it was."""
        if self._ours is not None:
            self._ours.stop()
            self._hook.remove()
        self._ours = self._hook = self._logits = None

    def added_to(self, task_loss: Callable[[Any, Any], Losses]) -> Callable[[Any, Any], Losses]:
        """Return the loss of an output and labels, with the teacher in it: ``(1 - weight) task + weight T^2 KL``.

        Args:
            task_loss: ``Loss.Train``.
        """

        def loss(output: Any, labels: Any) -> Losses:
            return self._with_teacher(task_loss(output, labels), logits_of(output))

        return loss

    def _teach(self, student: paddle.nn.Layer, inputs: tuple[Any, ...]) -> None:
        if student.training:
            with paddle.no_grad():
                self._logits = logits_of(self._teacher(inputs[0]))

    def _with_teacher(self, task: Losses, logits: paddle.Tensor) -> Losses:
        settings, taught, self._logits = self._settings, self._logits, None
        losses = {name: value for name, value in task.items() if name != LOSS}
        losses[KL] = kl_loss(logits, taught, settings.temperature)
        total = (1 - settings.weight) * task[LOSS] + settings.weight * losses[KL]
        if self._ours is not None and self._features:
            ours, theirs = self._ours.take(), self._theirs.take()
            parts = [weight * feature_loss(ours[name], theirs[name]) for name, weight in self._features.items()]
            losses[FEATURES] = paddle.add_n(parts)
            total = total + losses[FEATURES]
        return {**losses, LOSS: total}
