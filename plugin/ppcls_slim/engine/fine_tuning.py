"""The learning rate of a quantized model: PaddleClas's configurations are written for training from scratch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional

from ..checkpoint import Checkpoint, Metadata
from ..compat.paddleclas.types import ClasConfig
from ..config.section import SlimConfig
from .random_weights import is_pretrained

FINE_TUNING = 0.1
"""Of the learning rate from scratch, where trained weights are quantized (docs/reproduction.md, 8 bits with PACT)."""
RATES = ("learning_rate", "values", "eta_min", "end_lr", "warmup_start_lr")
"""Keys of ``Optimizer.lr`` that are learning rates, in PaddleClas 2.4 to develop."""


def set_learning_rate(
    config: ClasConfig, slim: SlimConfig, checkpoint: Optional[Checkpoint], resumes: bool, metadata: Metadata
) -> Optional[str]:
    """Set ``Optimizer.lr`` of a training whose model is quantized, in place.

    ``Slim.quant.learning_rate`` says which; without it, the rate is a tenth where trained weights are quantized. What
    was chosen is noted in the checkpoint, and a training is resumed with it.

    Args:
        config: PaddleClas configuration.
        slim: its ``Slim`` section.
        checkpoint: that the training starts with, or is resumed from.
        resumes: which of the two.
        metadata: of the checkpoints of this training.

    Returns:
        What to tell the user.
    """
    noted, said = metadata.learning_rate_factor, None
    if slim.quant is None and not (resumes and noted):
        return None
    asked = slim.quant.learning_rate if slim.quant is not None else None
    if not resumes and noted is not None:
        metadata.learning_rate_factor = None  # of the training before
    if asked == "same" or config["Global"].get("epochs") == 0:
        return None
    for section in schedules(config.get("Optimizer")):
        given = section.get("learning_rate")
        if isinstance(asked, float):
            scale(section, asked / given if _is_rate(given) and given else 1.0)
            section["learning_rate"] = asked
        elif resumes:
            scale(section, noted or 1.0)  # checkpoints of older versions note nothing: theirs was the same
        elif checkpoint is not None or is_pretrained(config["Arch"]):
            metadata.learning_rate_factor = FINE_TUNING
            scale(section, FINE_TUNING)
            said = _told(given) if _is_rate(given) else None
    return said


def rate_of(config: ClasConfig) -> Optional[float]:
    """The learning rate of a training; None where the schedule has several, or no number."""
    rate = next((section.get("learning_rate") for section in schedules(config.get("Optimizer"))), None)
    return rate if _is_rate(rate) else None


def scale(section: Any, factor: float) -> None:
    """Multiply all learning rates of a section ``Optimizer.lr``."""
    for key in RATES:
        value = section.get(key)
        if _is_rate(value):
            section[key] = _rounded(value * factor)
        elif isinstance(value, list):
            section[key] = [_rounded(one * factor) if _is_rate(one) else one for one in value]


def schedules(optimizer: Any) -> Iterator[Any]:
    """The sections ``lr`` of one optimizer, or of a list of optimizers for parts of the model."""
    for one in optimizer if isinstance(optimizer, list) else [optimizer]:
        if not isinstance(one, Mapping):
            continue
        if isinstance(one.get("lr"), Mapping):
            yield one["lr"]
        else:  # {Optimizer: {scope: ..., lr: ...}}
            yield from (part["lr"] for part in one.values() if isinstance(part, Mapping) and "lr" in part)


def _is_rate(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _rounded(value: float) -> float:
    """0.1 * 0.005 is not 0.0005 in binary; the digits that were written are kept."""
    return float(f"{value:.12g}")


def _told(given: float) -> str:
    return (
        f"trained weights are quantized: the learning rate is {_rounded(given * FINE_TUNING):g}, a tenth "
        f"of Optimizer.lr.learning_rate {given:g}; Slim.quant.learning_rate sets another, or keeps it (same)"
    )
