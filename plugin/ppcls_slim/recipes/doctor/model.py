"""Weights, the teacher, and what of them goes together."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Optional

from ...checkpoint import Checkpoint
from ...common.errors import SlimError
from ...compat.paddleclas.config import copy_config
from ...compat.paddleclas.types import ClasConfig
from ...config.section import SlimConfig
from ...engine import auto_resume, preflight
from ...engine.random_weights import is_pretrained, random_weights_warnings
from ...engine.teaching import check_distillation
from .finding import Finding, error, ok, tried, warning


def model_findings(config: ClasConfig, slim: SlimConfig) -> tuple[Optional[Checkpoint], list[Finding]]:
    """Return the checkpoint that training starts with, and what was found."""
    resolved = copy_config(config)
    findings = [
        tried("device", partial(preflight.check_device, config), str(config["Global"]["device"])),
    ]
    try:
        auto_resume.resolve(resolved)
        checkpoint = preflight.find_checkpoint(resolved, "train")
    except SlimError as refused:
        return None, [*findings, error("weights", str(refused))]
    findings += _weights(config, slim, checkpoint)
    checks = {
        "EMA": (config.get("EMA"), partial(preflight.check_ema, config, slim, "train")),
        "compression": (True, partial(preflight.check_compression, config, slim, checkpoint, "train")),
        "teacher": (slim.distill, partial(check_distillation, config, slim, checkpoint, "train")),
    }
    findings += [tried(what, check, "goes together") for what, (asked, check) in checks.items() if asked]
    return checkpoint, findings


def _weights(config: ClasConfig, slim: SlimConfig, checkpoint: Optional[Checkpoint]) -> Iterator[Finding]:
    for text in random_weights_warnings(config, slim, checkpoint):
        yield warning("weights", text)
        return
    if checkpoint is not None:
        yield ok("weights", str(checkpoint.weights))
    elif is_pretrained(config["Arch"]):
        yield ok("weights", "Arch.pretrained: PaddleClas fetches them when training starts")
    else:
        yield ok("weights", "training from scratch")
