"""Compressing a model that nothing was loaded into is possible, and seldom meant: it is said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..checkpoint import Checkpoint
from ..compat.paddleclas.types import ClasConfig
from ..config.section import SlimConfig


def random_weights_warnings(config: ClasConfig, slim: SlimConfig, checkpoint: Optional[Checkpoint]) -> list[str]:
    """Return what to tell about a training that compresses random weights; nothing about any other."""
    parts = {"Slim.prune": slim.prune, "Slim.quant": slim.quant}
    names = [name for name, section in parts.items() if section is not None]
    if not names or checkpoint is not None or is_pretrained(config["Arch"]):
        return []
    verb = "starts" if len(names) == 1 else "start"
    return [
        f"{' and '.join(names)} {verb} from random weights (Global.pretrained_model is not set, and Arch.pretrained "
        "is off): what is removed or calibrated is left to chance; give trained weights, unless training from "
        "scratch is meant"
    ]


def is_pretrained(arch: Any) -> bool:
    """Whether ``Arch``, or a part of it (a backbone, the models of a distillation), loads weights itself."""
    if isinstance(arch, list):
        return any(is_pretrained(part) for part in arch)
    if not isinstance(arch, Mapping):
        return False
    if any(arch.get("pretrained_list") or []) or arch.get("pretrained"):
        return True
    return any(is_pretrained(part) for part in arch.values())
