"""Look at the configuration before anything is built: can the model learn from a teacher?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

from ...checkpoint import Checkpoint
from ...common.errors import SlimError
from ...compat.paddleclas.types import ClasConfig
from ...config.distill import DENSE
from ...config.section import SlimConfig
from ..preflight import open_named

KEY = "Slim.distill"
OWN_DISTILLATION = ("DistillationModel", "AttentionModel")
SAME_LOOP = (None, "", "progressive")
"""Values of ``Global.train_mode`` whose loop takes the loss of the model's output on the batch."""
_CLASSIFIES = re.compile(r"^(?!Distillation).*(CELoss|CrossEntropy|GoogLeNetLoss)")


def check_distillation(config: ClasConfig, slim: SlimConfig, checkpoint: Optional[Checkpoint], mode: str) -> None:
    """Refuse a training that cannot learn from a teacher, and a teacher whose files are not there.

    Args:
        config: PaddleClas configuration.
        slim: its ``Slim`` section.
        checkpoint: that the training starts with, or is resumed from.
        mode: others than ``train`` have no teacher.

    Raises:
        SlimError: with the remedy.
    """
    settings = slim.distill
    if settings is None or mode != "train":
        return
    _check_classification(config)
    if learns_from_itself(slim, checkpoint):
        raise SlimError(
            f"{KEY}: nothing is compressed, and the model would learn from itself: add Slim.prune or Slim.quant, or "
            f"name the teacher with {KEY}.teacher"
        )
    if settings.features and config["Global"].get("to_static"):
        raise SlimError(f"{KEY}.features: no layer's output can be seen with Global.to_static: set it to False")
    if settings.config is not None and not Path(settings.config).is_file():
        raise SlimError(f"{KEY}.config: there is no file {settings.config}")
    if settings.teacher != DENSE:
        open_named(settings.teacher, f"{KEY}.teacher")


def learns_from_itself(slim: SlimConfig, checkpoint: Optional[Checkpoint]) -> bool:
    """Whether teacher and student would be one dense model."""
    compressed = checkpoint is not None and any((checkpoint.plan, checkpoint.quant, checkpoint.masked))
    compresses = slim.prune is not None or slim.quant is not None
    return slim.distill is not None and slim.distill.from_itself and not compressed and not compresses


def _check_classification(config: ClasConfig) -> None:
    arch, section = config["Arch"], config["Global"]
    if arch["name"] in OWN_DISTILLATION:
        raise SlimError(
            f"{KEY}: Arch.name {arch['name']} has a teacher of its own: remove {KEY}, or make Arch the student's and "
            f"name the teacher with {KEY}.teacher and {KEY}.config"
        )
    names = [str(name) for one in config["Loss"]["Train"] for name in one]
    scores = any(_CLASSIFIES.match(name) for name in names)
    embeds = "Head" in arch or arch.get("is_rec") or section.get("eval_mode", "classification") != "classification"
    if not scores or embeds or section.get("use_multilabel"):
        what = f"Loss.Train has {', '.join(names)}" if not scores else "this model gives other scores or features"
        raise SlimError(f"{KEY}: it compares scores of classes, one class to an image, and {what}: remove {KEY}")
    if section.get("train_mode") not in SAME_LOOP:
        raise SlimError(
            f"{KEY}: Global.train_mode {section['train_mode']} has a training loop of its own, without a teacher: "
            "remove one of them"
        )
