"""Inputs that an export is verified on, and the evaluation data, from a PaddleClas configuration."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..compat.paddleclas.types import ClasConfig, DataLoader
from ..zoo.datasets import ON_DEMAND

SAMPLES = 32
"""How many inputs an export is verified on, at most."""


@dataclass(frozen=True)
class Samples:
    """Preprocessed inputs of a model.

    Attributes:
        images: ``[n, C, H, W]`` float32.
        source: where they came from, in words.
    """

    images: np.ndarray
    source: str


def samples(config: ClasConfig) -> Samples:
    """Return up to 32 preprocessed inputs.

    Evaluation data if it is there, else the images of ``Infer``, else noise (and the source says so).
    """
    loader = evaluation_data(config)
    if loader is not None:
        return Samples(_first_images(loader), "evaluation data")
    infer = config.get("Infer") or {}
    place = Path(str(infer.get("infer_imgs")))
    if infer.get("transforms") and place.exists():
        return Samples(_read_images(place, infer["transforms"]), str(place))
    shape = [4, *config["Global"]["image_shape"]]
    noise = np.random.default_rng(0).standard_normal(shape).astype(np.float32)
    return Samples(noise, "noise: no data is at hand")


def evaluation_data(config: ClasConfig) -> Optional[DataLoader]:
    """Build the evaluation (or query) data loader, without worker processes.

    PaddleClas has to be set up for that, which importing the engine does.

    Returns:
        The loader, or None where the configuration names no data, or data that is not there.
    """
    from ppcls.data import build_dataloader  # found once the engine was imported

    section: dict[str, Any] = copy.deepcopy((config.get("DataLoader") or {}).get("Eval") or {})
    sections: dict[str, Any] = {"Eval": section, "class_num": None} if "dataset" in section else dict(section)
    mode = next((key for key in ("Eval", "Query", "Gallery") if key in sections), None)
    if mode is None or not _is_there(sections[mode]["dataset"]):
        return None
    sections[mode]["loader"]["num_workers"] = 0
    loader: DataLoader = build_dataloader(sections, mode, config["Global"]["device"])
    return loader


def _is_there(dataset: Mapping[str, Any]) -> bool:
    paths = [dataset.get(key) for key in ("image_root", "cls_label_path")]
    return dataset.get("name") in ON_DEMAND or not any(path and not Path(path).exists() for path in paths)


def _first_images(loader: DataLoader) -> np.ndarray:
    images: list[np.ndarray] = []
    for batch in loader:
        images.extend(np.asarray(batch[0]))
        if len(images) >= SAMPLES:
            break
    return np.stack(images[:SAMPLES]).astype(np.float32)


def _read_images(place: Path, transforms: list[Any]) -> np.ndarray:
    from ppcls.data import create_operators  # found once the engine was imported

    files = sorted(p for p in place.rglob("*") if p.is_file()) if place.is_dir() else [place]
    operators = create_operators(copy.deepcopy(transforms))
    images = []
    for file in files[:SAMPLES]:
        image: Any = file.read_bytes()
        for operator in operators:
            image = operator(image)
        images.append(np.asarray(image))
    return np.stack(images).astype(np.float32)
