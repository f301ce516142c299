"""The constructors of ``ppcls.arch.backbone``."""

from __future__ import annotations

import inspect
import logging
from typing import Any, Optional

import numpy as np

from benchmarks.backbones.families import Backbone
from ppcls_slim.compat.paddle import installed_paddle, paddle
from ppcls_slim.compat.paddleclas.engine import load_engine

NEEDED: dict[str, dict[str, Any]] = {
    "WideResNet": {"depth": 28, "widen_factor": 2, "dropout": 0.0, "num_classes": 10},
}
"""What constructors without defaults are called with: as PaddleClas's FixMatch configurations for CIFAR-10."""


def constructors() -> dict[str, Any]:
    """Name -> function for everything in ``ppcls.arch.backbone`` that builds a model."""
    load_engine()
    from ppcls.arch import backbone  # found once the engine was imported

    found = {}
    for name, thing in vars(backbone).items():
        if inspect.isfunction(thing) and thing.__module__.startswith("ppcls.arch.backbone."):
            found[name] = thing
    return found


def arguments(constructor: Any) -> dict[str, Any]:
    """Arguments with which a constructor is called: without fetching weights, whatever its default."""
    needed = NEEDED.get(constructor.__name__, {})
    return {**needed, **({"pretrained": False} if "pretrained" in inspect.signature(constructor).parameters else {})}


def survey(count: bool) -> tuple[str, list[Backbone]]:
    """Paddle's version and all backbones; counting their parameters takes about a minute."""
    everything = constructors()
    from ppcls.utils import logger  # found once the engine was imported

    logger.init_logger(log_level=logging.ERROR)  # backbones of 2.5 and newer log while they are built
    return installed_paddle(), [
        Backbone(name, file_of(thing), _parameters(thing) if count else None) for name, thing in everything.items()
    ]


def file_of(constructor: Any) -> str:
    """``resnet`` for what comes from ``ppcls.arch.backbone.legendary_models.resnet``."""
    return constructor.__module__.rpartition(".")[2]


def _parameters(constructor: Any) -> Optional[int]:
    try:
        # Some backbones name their parameters, and names have to be unique.
        with paddle.utils.unique_name.guard(), paddle.LazyGuard():
            model = constructor(**arguments(constructor))
        return sum(int(np.prod(parameter.shape)) for parameter in model.parameters())
    except Exception:  # whatever the model's code raises; running it will tell
        return None
