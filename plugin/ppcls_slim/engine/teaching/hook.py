"""Let the teacher see the batches of every epoch, and put what it says into the loss."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ... import checkpoint as checkpoints
from ...checkpoint import Metadata, TaughtBy
from ...compat.distributed import broadcast_from_rank0
from ...compat.paddle import paddle
from ...compat.paddleclas.logger import logger, say
from ...compat.paddleclas.types import ClasEngine
from ...config.distill import DENSE, DistillConfig
from ...distill.distillation import Distillation
from ...distill.features import comparable, trial
from ..hooks import Hook
from ..run import Run
from .checks import KEY
from .saved import save_teacher, weights_in
from .teacher import Teacher, blank, seen_by


@dataclass(frozen=True)
class Lessons:
    """What a student is taught, and by whom.

    Attributes:
        teacher: fits the student.
        settings: ``Slim.distill``.
        features: layer of both -> weight.
    """

    teacher: Teacher
    settings: DistillConfig
    features: dict[str, float]

    @classmethod
    def plan(cls, teacher: Optional[Teacher], student: paddle.nn.Layer, run: Run) -> Optional[Lessons]:
        """Find the layers of ``features``; None without a teacher.

        Args:
            teacher: of the student.
            student: after it was compressed.
            run: a training.

        Raises:
            SlimError: a layer is not there, or has another shape in the teacher.
        """
        settings = run.slim.distill
        if teacher is None or settings is None:
            return None
        features: dict[str, float] = {}
        if settings.features:
            ours, theirs = trial(student, blank(run)), seen_by(teacher, run)
            features = comparable(settings.features, ours, theirs, f"{KEY}.features")
            logger.info(f"ppcls_slim: features of {', '.join(features)} are compared with the teacher's")
        return cls(teacher, settings, features)


class Teaching(Hook):
    """Changes the engine's training loss for the length of an epoch; evaluation and saving do not see it."""

    def __init__(self, lessons: Lessons, engine: ClasEngine):
        self._distillation = Distillation(lessons.teacher.model, lessons.settings, lessons.features)
        self._engine = engine
        self._task_loss: Optional[Callable[[Any, Any], Mapping[str, paddle.Tensor]]] = None

    def before_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """Let the teacher in."""
        self._distillation.attach(model)
        self._task_loss = self._engine.train_loss_func
        self._engine.train_loss_func = self._distillation.added_to(self._task_loss)

    def after_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """Let it out."""
        self._distillation.detach()
        if self._task_loss is not None:
            self._engine.train_loss_func = self._task_loss


def teaching_hooks(lessons: Optional[Lessons], engine: ClasEngine, metadata: Metadata) -> list[Hook]:
    """Return what a training with a teacher does at its moments; nothing without one.

    Weights that are nowhere else are saved first, for whoever resumes the training.

    Args:
        lessons: None without a teacher.
        engine: trains.
        metadata: of the run; is told who teaches.
    """
    if lessons is None:
        return []
    folder = Path(engine.output_dir)
    digest = broadcast_from_rank0(lambda: _saved_digest(lessons.teacher, folder))
    before, settings = metadata.distill, lessons.settings
    if before is not None and before.teacher != lessons.teacher.name and before.sha256 != digest:
        say(f"ppcls_slim: the teacher was {before.teacher} until now, and is {lessons.teacher.name} now")
    metadata.distill = TaughtBy(
        teacher=lessons.teacher.name, sha256=digest, weight=settings.weight, temperature=settings.temperature
    )
    return [Teaching(lessons, engine)]


def _saved_digest(teacher: Teacher, folder: Path) -> Optional[str]:
    """SHA-256 of the file that holds a teacher's weights; in the first process."""
    there = weights_in(folder)
    if teacher.name != DENSE or (there.is_file() and checkpoints.sha256(there) == teacher.sha256):
        return teacher.sha256
    return checkpoints.sha256(save_teacher(teacher.model, folder))
