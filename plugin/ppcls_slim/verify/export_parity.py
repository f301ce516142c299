"""Does the exported model compute what the trained one does? On real samples, before anything is moved into place."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..common.errors import SlimError
from ..zoo.datasets import ON_DEMAND

# float32 sums in another order (oneDNN fuses and blocks): a few units of 1e-6 on softmax outputs.
TOLERANCE = 1e-3
SAMPLES = 32


@dataclass(frozen=True)
class Agreement:
    """How far two sets of outputs agree.

    Attributes:
        samples: how many inputs were compared.
        source: where they came from.
        largest: largest absolute difference, relative to the largest absolute output.
        same_top1: share of inputs with the same largest output.
    """

    samples: int
    source: str
    largest: float
    same_top1: float

    def line(self) -> str:
        """The result in one line."""
        return (
            f"{self.samples} samples ({self.source}): largest relative difference {self.largest:.2e}, "
            f"same top-1 on {100 * self.same_top1:.1f} %"
        )


def compare(expected: np.ndarray, found: np.ndarray, source: str) -> Agreement:
    """Compare outputs ``[n, ...]``."""
    if expected.shape != found.shape:
        raise SlimError(
            f"the exported model gives {list(found.shape)} where the trained one gives {list(expected.shape)}"
        )
    scale = max(float(np.abs(expected).max()), 1e-12)
    n = len(expected)
    same = expected.reshape(n, -1).argmax(1) == found.reshape(n, -1).argmax(1)
    return Agreement(n, source, float(np.abs(expected - found).max()) / scale, float(same.mean()))


def check(agreement: Agreement) -> None:
    """Refuse an export that computes something else.

    Raises:
        SlimError: with the figures.
    """
    if not agreement.largest <= TOLERANCE:  # also where it is NaN
        raise SlimError(f"the exported model does not compute what the trained one does: {agreement.line()}")


def samples(
    config: Any, build_dataloader: Callable[..., Any], operators: Callable[..., Any]
) -> tuple[np.ndarray, str]:
    """Return up to 32 preprocessed inputs ``[n, C, H, W]`` and where they came from.

    Evaluation data if it is there, else the images of ``Infer``, else noise (and the source says so).
    """
    for source in (_from_evaluation, _from_infer):
        found = source(config, build_dataloader, operators)
        if found is not None:
            return found
    shape = [4, *config["Global"]["image_shape"]]
    return np.random.default_rng(0).standard_normal(shape).astype(np.float32), "noise: no data is at hand"


def _from_evaluation(
    config: Any, build_dataloader: Callable[..., Any], operators: Any
) -> Optional[tuple[np.ndarray, str]]:
    loader = evaluation_loader(config, build_dataloader)
    if loader is None:
        return None
    images: list[np.ndarray] = []
    for batch in loader:
        images.extend(np.asarray(batch[0]))
        if len(images) >= SAMPLES:
            break
    return np.stack(images[:SAMPLES]).astype(np.float32), "evaluation data"


def evaluation_loader(config: Any, build_dataloader: Callable[..., Any]) -> Any:
    """Build the evaluation (or query) data loader, without worker processes; None where data is missing."""
    section = copy.deepcopy((config.get("DataLoader") or {}).get("Eval") or {})
    whole = {"Eval": section, "class_num": None} if "dataset" in section else dict(section)
    mode = "Eval" if "dataset" in section else next((key for key in ("Query", "Gallery") if key in section), None)
    if mode is None:
        return None
    part = whole[mode]
    paths = [part["dataset"].get(key) for key in ("image_root", "cls_label_path")]
    if part["dataset"].get("name") not in ON_DEMAND and any(p and not Path(p).exists() for p in paths):
        return None
    part["loader"]["num_workers"] = 0
    return build_dataloader(whole, mode, "cpu" if config["Global"]["device"] == "cpu" else config["Global"]["device"])


def _from_infer(
    config: Any, build_dataloader: Any, operators: Callable[..., Any]
) -> Optional[tuple[np.ndarray, str]]:
    infer = config.get("Infer") or {}
    place = Path(str(infer.get("infer_imgs")))
    if not infer.get("transforms") or not place.exists():
        return None
    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    steps = operators(copy.deepcopy(infer["transforms"]))
    images = []
    for file in files[:SAMPLES]:
        image: Any = file.read_bytes()
        for step in steps:
            image = step(image)
        images.append(np.asarray(image))
    return np.stack(images).astype(np.float32), str(place)
