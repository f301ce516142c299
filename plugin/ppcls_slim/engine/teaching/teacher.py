"""A teacher, and whether it fits: the same classes, the same input, the file of before, better than chance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Optional

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...compat.paddleclas.logger import logger, say
from ...distill.features import Trial, trial
from ...distill.losses import logits_of
from ...graph.eval_mode import eval_mode
from ..run import Run
from .checks import KEY

IMAGES = 256
"""So many training images tell whether a teacher knows its subject."""


@dataclass(frozen=True)
class Teacher:
    """A model to learn from.

    Attributes:
        model: gives scores of the classes.
        name: for people: ``dense``, or the file of its weights, or of its configuration.
        sha256: of the file of its weights; None of weights that are not in a file of their own.
    """

    model: paddle.nn.Layer
    name: str
    sha256: Optional[str] = None


def seen_by(teacher: Teacher, run: Run) -> Trial:
    """Run a teacher on the input of this training.

    Raises:
        SlimError: it takes another one.
    """
    try:
        return trial(teacher.model, blank(run))
    except Exception as error:  # whatever the layers of a model raise
        words = " ".join(str(error).split())[:160]
        raise SlimError(
            f"{KEY}.teacher: {teacher.name} does not take the input of this training, Global.image_shape "
            f"{list(run.input_shape)} ({words})"
        ) from error


def blank(run: Run) -> paddle.Tensor:
    """An input of this training, ``[1, C, H, W]``."""
    return paddle.zeros([1, *run.input_shape])


def check_same(teacher: Teacher, run: Run) -> None:
    """Refuse to resume with a file of the same name that something else was written over.

    Raises:
        SlimError: names the file.
    """
    before = run.resumed.metadata.distill if run.resumed is not None else None
    if run.resumed is None or before is None or before.teacher != teacher.name or before.sha256 == teacher.sha256:
        return
    raise SlimError(
        f"{KEY}.teacher: {teacher.name} is not what it was when {run.resumed.weights} learned from it: restore it, "
        "or name another file to go on with another teacher"
    )


def check_fits(teacher: Teacher, student: Trial, run: Run) -> None:
    """Refuse a teacher of other classes, or of another input.

    Raises:
        SlimError: says what it gives.
    """
    theirs, ours = seen_by(teacher, run).logits, student.logits
    if ours is None or len(ours) != 2:
        raise SlimError(f"{KEY}: the model of Arch gives {ours}, and not scores of classes: remove {KEY}")
    if theirs != ours:
        there = f"{theirs[1]} classes" if theirs is not None and len(theirs) == 2 else f"{theirs}"
        raise SlimError(
            f"{KEY}.teacher: {teacher.name} gives {there}, and the model of Arch {ours[1]} classes: give a "
            "teacher of the same classes"
        )


def look_at_knowledge(teacher: Teacher, run: Run) -> None:
    """Log a teacher's top-1 on some training images, and warn of one that does no better than chance."""
    if run.config["Global"].get("use_dali"):
        return  # its batches have another form
    hits = total = classes = 0
    for batch in run.training_data:
        with eval_mode(teacher.model):
            scores = logits_of(run.feed(teacher.model, batch))
        classes = scores.shape[1]
        labels = batch[1].reshape([len(scores), -1])
        labels = labels.argmax(axis=1) if labels.shape[1] == classes else labels[:, 0]  # mixed images have shares
        hits += int((scores.argmax(axis=1) == labels.astype("int64")).sum())
        total += len(scores)
        if total >= IMAGES:
            break
    if not total:
        return
    share = f"{100 * hits / total:.2f} % on {total} training images"
    say(f"ppcls_slim: the teacher is {teacher.name}, top-1 {share}")
    chance = total / classes
    if hits <= chance + 2 * (chance * (1 - 1 / classes)) ** 0.5:
        warning = (
            f"{KEY}.teacher: {teacher.name} is no better than chance on training images ({hits} of {total}): its "
            "classifier is untrained, or its classes or its preprocessing are others"
        )
        logger.warning(f"ppcls_slim: {warning}")
        run.metadata.warnings = [*(run.metadata.warnings or []), warning]
