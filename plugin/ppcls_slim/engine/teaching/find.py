"""The teacher of ``Slim.distill``: the model before compression, a checkpoint, or another configuration's model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Optional

from ... import checkpoint as checkpoints
from ...checkpoint import Checkpoint
from ...common.errors import SlimError, naming
from ...common.name_patterns import matching
from ...compat.paddle import paddle
from ...compat.paddleclas.config import copy_config, read_yaml_config
from ...compat.paddleclas.logger import say
from ...compat.paddleclas.types import ClasConfig
from ...config.distill import DENSE, DistillConfig
from ...distill.features import trial
from .. import loading
from ..build import build_dense, build_untrained
from ..preflight import open_named
from ..random_weights import is_pretrained
from ..run import Run
from ..states import Dense, State, state_of
from .checks import KEY
from .saved import saved_teacher
from .teacher import Teacher, blank, check_fits, check_same, look_at_knowledge


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
        say(f"ppcls_slim: {KEY}: Global.epochs is 0, and nothing is learned from a teacher")
        return None
    teacher = _as_loaded(model, state, run) if settings.from_itself else _named(settings, run)
    check_same(teacher, run)
    ours = trial(model, blank(run))
    check_fits(teacher, ours, run)
    for pattern in settings.features:  # before minutes of pruning
        matching(pattern, list(ours.features), f"{KEY}.features", "layer")
    look_at_knowledge(teacher, run)
    return teacher


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
        with naming(f"{KEY}.config"):
            other = read_yaml_config(Path(settings.config), [])
        config = _with_arch(run.config, other, settings.config)
        if settings.teacher == DENSE:
            path, key = (other.get("Global") or {}).get("pretrained_model"), f"{KEY}.config: Global.pretrained_model"
    if path:
        return _from_checkpoint(open_named(str(path), key), config, run)
    if not is_pretrained(config["Arch"]):
        raise SlimError(f"{KEY}.config: {settings.config} names no weights: name them with {KEY}.teacher")
    with paddle.utils.unique_name.guard(), naming(f"{KEY}.config"):
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
    say(f"ppcls_slim: the teacher is that of {found.weights}")
    state = state_of(found)
    with naming(f"{KEY}.teacher"):
        model = build_untrained(config)
        if isinstance(state, Dense):
            fit = loading.load_what_fits(model, found, config, untrained_head=True)
            for there, here in fit.classifiers.values():
                raise SlimError(f"{found.weights} is for {there} classes, and this training for {here}")
        else:
            state.restore(model, found, replace(run, config=config, mode="eval"))
    return Teacher(model, name or str(found.weights), checkpoints.sha256(found.weights))
