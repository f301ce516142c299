"""The teacher of ``Slim.distill``: the model before compression, a checkpoint, or another configuration's model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

from ... import checkpoint as checkpoints
from ...checkpoint import Checkpoint
from ...common.errors import SlimError
from ...common.name_patterns import matching
from ...compat.paddle import paddle
from ...compat.paddleclas.config import copy_config, read_yaml_config
from ...compat.paddleclas.logger import logger
from ...compat.paddleclas.types import ClasConfig
from ...config.distill import DENSE, DistillConfig
from ...distill.features import Trial, trial
from ...distill.losses import logits_of
from ...graph.eval_mode import eval_mode
from .. import loading
from ..build import build_dense, build_untrained
from ..preflight import open_named
from ..random_weights import is_pretrained
from ..run import Run
from ..states import Dense, State, state_of
from .checks import KEY
from .saved import saved_teacher

IMAGES = 256
"""So many training images tell whether a teacher knows its subject."""


@dataclass(frozen=True)
class Teacher:
    """A model to learn from.

    Attributes:
        model: gives scores of the classes.
        name: for people: ``dense``, or the file of its weights, or of its configuration.
        weights: the file of its weights; None of weights that are nowhere but in it.
        sha256: of that file.
    """

    model: paddle.nn.Layer
    name: str
    weights: Optional[Path] = None
    sha256: Optional[str] = None


def find_teacher(model: paddle.nn.Layer, state: State, run: Run) -> Optional[Teacher]:
    """Build the teacher that ``Slim.distill`` names; None where nothing is learned.

    Args:
        model: as it was loaded, before the run compresses it.
        state: what it is.
        run: a training, or something else.

    Raises:
        SlimError: the teacher's weights are not there, or it does not fit the model or its input.
    """
    settings = run.slim.distill
    if settings is None or run.mode != "train":
        return None
    if not run.trains:
        logger.info(f"ppcls_slim: {KEY}: Global.epochs is 0, and nothing is learned from a teacher")
        return None
    teacher = _as_loaded(model, state, run) if settings.from_itself else _named(settings, run)
    _check_same(teacher, run)
    ours = trial(model, blank(run))
    _check_fits(teacher, ours, run)
    for pattern in settings.features:  # before minutes of pruning
        matching(pattern, list(ours.features), f"{KEY}.features", "layer")
    _look_at_knowledge(teacher, run)
    return teacher


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


def _as_loaded(model: paddle.nn.Layer, state: State, run: Run) -> Teacher:
    """The model itself before it is compressed; of a compressed checkpoint, what it was taught by."""
    if not isinstance(state, Dense):
        saved = saved_teacher(run.checkpoint)
        return _from_checkpoint(saved, run.config, run, DENSE)
    if run.checkpoint is None and not is_pretrained(run.config["Arch"]):
        raise SlimError(
            f"{KEY}.teacher: {DENSE} is the model before compression, and its weights are random here: give trained "
            "ones with Global.pretrained_model, or name a checkpoint"
        )
    twin = build_untrained(run.config)
    checkpoints.load_exactly(twin, model.state_dict(), Path("the model before compression"))
    return Teacher(twin, DENSE)


def _named(settings: DistillConfig, run: Run) -> Teacher:
    config, key = run.config, f"{KEY}.teacher"
    path: Optional[str] = settings.teacher
    if settings.config is not None:
        with _naming(f"{KEY}.config"):
            other = read_yaml_config(Path(settings.config), [])
        config = _with_arch(run.config, other, settings.config)
        if settings.teacher == DENSE:
            path, key = other.get("Global", {}).get("pretrained_model"), f"{KEY}.config: Global.pretrained_model"
    if path:
        return _from_checkpoint(open_named(path, key), config, run)
    if not is_pretrained(config["Arch"]):
        raise SlimError(f"{KEY}.config: {settings.config} names no weights: name them with {KEY}.teacher")
    with paddle.utils.unique_name.guard(), _naming(f"{KEY}.config"):
        return Teacher(build_dense(config, "eval"), str(settings.config))


def _with_arch(config: ClasConfig, other: ClasConfig, path: str) -> ClasConfig:
    """The configuration with the ``Arch`` of another one."""
    if not isinstance(other.get("Arch"), dict) or not other["Arch"].get("name"):
        raise SlimError(f"{KEY}.config: {path} has no Arch.name: give a PaddleClas configuration")
    config, arch = copy_config(config), copy_config(other["Arch"])
    if "class_num" not in arch and (other.get("Global") or {}).get("class_num"):
        arch["class_num"] = other["Global"]["class_num"]  # as PaddleClas's Engine does
    config["Arch"] = arch
    return config


def _from_checkpoint(found: Checkpoint, config: ClasConfig, run: Run, name: Optional[str] = None) -> Teacher:
    """Build the model of a dense, pruned or quantized checkpoint with its weights."""
    logger.info(f"ppcls_slim: the teacher is that of {found.weights}")
    state = state_of(found)
    with _naming(f"{KEY}.teacher"):
        model = build_untrained(config)
        if isinstance(state, Dense):
            fit = loading.load_what_fits(model, found, config, untrained_head=True)
            for there, here in fit.classifiers.values():
                raise SlimError(f"{found.weights} is for {there} classes, and this training for {here}")
        else:
            state.restore(model, found, replace(run, config=config, mode="eval"))
    return Teacher(model, name or str(found.weights), found.weights, checkpoints.sha256(found.weights))


@contextmanager
def _naming(key: str) -> Iterator[None]:
    """Name the key in what is wrong."""
    try:
        yield
    except SlimError as error:
        raise SlimError(f"{key}: {error}") from None


def _check_same(teacher: Teacher, run: Run) -> None:
    """A training is resumed with the file that it began with, and not with what was written over it since."""
    before = run.resumed.metadata.distill if run.resumed is not None else None
    if run.resumed is None or before is None or before.teacher != teacher.name or before.sha256 == teacher.sha256:
        return
    raise SlimError(
        f"{KEY}.teacher: {teacher.name} is not what it was when {run.resumed.weights} learned from it: restore it, "
        "or name another file to go on with another teacher"
    )


def _check_fits(teacher: Teacher, student: Trial, run: Run) -> None:
    theirs, ours = seen_by(teacher, run).logits, student.logits
    if ours is None or len(ours) != 2:
        raise SlimError(f"{KEY}: the model of Arch gives {ours}, and not scores of classes: remove {KEY}")
    if theirs != ours:
        there = f"{theirs[1]} classes" if theirs is not None and len(theirs) == 2 else f"{theirs}"
        raise SlimError(
            f"{KEY}.teacher: {teacher.name} gives {there}, and the model of Arch {ours[1]} classes: give a "
            "teacher of the same classes"
        )


def _look_at_knowledge(teacher: Teacher, run: Run) -> None:
    """Log a teacher's top-1 on some training images, and warn of one that does no better than chance."""
    if run.config["Global"].get("use_dali"):
        return  # its batches have another form
    hits = total = classes = 0
    for batch in run.training_data:
        with eval_mode(teacher.model):
            scores = logits_of(run.feed(teacher.model, batch))
        classes = scores.shape[1]
        labels = paddle.to_tensor(batch[1]).reshape([len(scores), -1])
        labels = labels.argmax(axis=1) if labels.shape[1] == classes else labels[:, 0]  # mixed images have shares
        hits += int((scores.argmax(axis=1) == labels.astype("int64")).sum())
        total += len(scores)
        if total >= IMAGES:
            break
    if not total:
        return
    share = f"{100 * hits / total:.2f} % on {total} training images"
    logger.info(f"ppcls_slim: the teacher is {teacher.name}, top-1 {share}")
    chance = total / classes
    if hits <= chance + 2 * (chance * (1 - 1 / classes)) ** 0.5:
        warning = (
            f"{KEY}.teacher: {teacher.name} is no better than chance on training images ({hits} of {total}): its "
            "classifier is untrained, or its classes or its preprocessing are others"
        )
        logger.warning(f"ppcls_slim: {warning}")
        run.metadata.warnings = [*(run.metadata.warnings or []), warning]
