"""Epochs, learning rate, and switches that do nothing here."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

from ...checkpoint import Checkpoint, Metadata
from ...compat.distributed import synchronizes
from ...compat.paddleclas.config import copy_config
from ...compat.paddleclas.types import ClasConfig
from ...config.section import SlimConfig
from ...engine.fine_tuning import schedules, set_learning_rate
from .finding import Finding, ok, warning

MOST = {"adaptive": 1e-3, "other": 0.02}
"""Learning rates above which training with quantization is expected to lose accuracy. Measured: 0.001 keeps it
(docs/reproduction.md); 0.01 is that of PaddleClas's configurations for slim."""
ADAPTIVE = ("Adam", "AdamW", "AdamWDL", "RMSProp")


def training_findings(config: ClasConfig, slim: SlimConfig, checkpoint: Optional[Checkpoint]) -> Iterator[Finding]:
    """Look at ``Global.epochs``, ``Optimizer`` and ``Arch.use_sync_bn``."""
    yield _epochs(config, slim)
    yield from _learning_rate(config, slim, checkpoint)
    arch, device = config["Arch"], config["Global"]["device"]
    if arch.get("use_sync_bn") and not synchronizes(device):
        text = "Arch.use_sync_bn: there is one device, or no GPU: built without synchronization"
        yield warning(
            "use_sync_bn", f"{text}; set -o Arch.use_sync_bn=False, or start with paddle.distributed.launch"
        )


def _epochs(config: ClasConfig, slim: SlimConfig) -> Finding:
    epochs = config["Global"]["epochs"]
    if epochs > 0:
        return ok("epochs", str(epochs))
    if slim.prune is not None:
        return warning(
            "epochs", "Global.epochs is 0: what is pruned is not fine-tuned; set -o Global.epochs=10 or more"
        )
    if slim.quant is not None:
        return ok("epochs", "0: quantized by calibration alone")
    return warning("epochs", "Global.epochs is 0: nothing is trained; set -o Global.epochs=10 or more")


def _learning_rate(config: ClasConfig, slim: SlimConfig, checkpoint: Optional[Checkpoint]) -> Iterator[Finding]:
    copied = copy_config(config)
    if (
        slim.quant is not None and slim.quant.epochs is not None
    ):  # the stage that quantizes starts from the first one's
        copied["Global"]["epochs"] = slim.quant.epochs
        copied["Arch"]["pretrained"] = True
    if copied["Global"]["epochs"] == 0:
        return
    said = set_learning_rate(copied, slim, checkpoint, bool(config["Global"].get("checkpoints")), Metadata())
    for rates in schedules(copied.get("Optimizer")):
        yield _rate(rates, slim, copied, said)


def _rate(rates: Any, slim: SlimConfig, config: ClasConfig, said: Optional[str]) -> Finding:
    given = rates.get("learning_rate")
    rate = max([one for one in rates.get("values") or [given] if isinstance(one, (int, float))], default=None)
    if rate is None:
        return ok("learning rate", f"of {rates.get('name')}")
    most = MOST["adaptive" if _name(config) in ADAPTIVE else "other"]
    if rate == 0:
        return warning("learning rate", "Optimizer.lr.learning_rate is 0: nothing is learned; set it")
    if slim.quant is not None and rate > most:
        text = (
            f"{rate:g} is much for training with quantization: set -o Slim.quant.learning_rate={most / 2:g} or less"
        )
        return warning("learning rate", text)
    warm, epochs = rates.get("warmup_epoch") or 0, config["Global"]["epochs"]
    if warm >= epochs:
        text = f"Optimizer.lr.warmup_epoch is {warm} of {epochs} epochs: the rate never comes down; set it to 0"
        return warning("learning rate", text)
    return ok("learning rate", said or f"{rate:g}")


def _name(config: ClasConfig) -> str:
    optimizer = config.get("Optimizer")
    return str(optimizer.get("name")) if isinstance(optimizer, dict) else ""
