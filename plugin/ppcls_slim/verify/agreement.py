"""How often two ways of running a model predict the same class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..compat.paddleclas.types import DataLoader
from .int8 import run_all


@dataclass(frozen=True)
class Agreement:
    """Accuracy of a way of running a model.

    Attributes:
        top1: share of right predictions; None without labels.
        same: share of predictions as those of the reference; None where nothing was compared.
    """

    top1: Optional[float]
    same: Optional[float]


def agreement(
    reference: Callable[[np.ndarray], np.ndarray],
    run: Callable[[np.ndarray], np.ndarray],
    images: np.ndarray,
    evaluation: Optional[DataLoader],
    limit: int,
) -> Agreement:
    """Compare the largest scores.

    Args:
        reference: from ``[n, C, H, W]`` to scores ``[n, classes]``.
        run: the same, in another engine or precision.
        images: used where there is no evaluation data.
        evaluation: batches of images and labels, or None.
        limit: samples of it after which no other batch is run.
    """
    outputs, labels = run_all({"reference": reference, "run": run}, images, evaluation, limit)
    chosen = {name: scores.argmax(1) for name, scores in outputs.items()}
    top1 = None if labels is None else float((chosen["run"] == labels).mean())
    return Agreement(top1, float((chosen["run"] == chosen["reference"]).mean()))
