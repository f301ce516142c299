"""``ppcls-slim predict``: images through an exported model."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any, Optional

import numpy as np
import yaml

from ..common.errors import SlimError
from ..compat.paddle import default_device
from ..compat.paddleclas.find import find_ppcls
from .inference_yml import LABELS
from .paddle_inference import NAME
from .target import target_of

IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def predict(arguments: argparse.Namespace) -> None:
    """Print one line an image: class ids, scores, names.

    Raises:
        SlimError: no exported model, no image, or an image that cannot be read.
    """
    files = image_files(arguments.images)
    settings = read_settings(arguments.model_dir)
    device = arguments.device or default_device()
    run = target_of(arguments.model_dir).load(arguments.model_dir, device, arguments.threads)
    steps = _steps(settings)
    names = read_names(arguments.model_dir)
    results = []
    size = arguments.batch_size
    for start in range(0, len(files), size):
        batch = files[start : start + size]
        outputs = run(np.stack([preprocess(file, steps) for file in batch]))
        for file, output in zip(batch, outputs):
            results.append(_describe(file, output, settings["PostProcess"], names, arguments.topk))
            print(_line(results[-1]))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1), encoding="utf-8")


def image_files(place: Path) -> list[Path]:
    """Return the image itself, or the images of a folder, sorted.

    Raises:
        SlimError: there is no image.
    """
    if not place.exists():
        raise SlimError(f"--images: there is no {place}")
    files = sorted(p for p in place.rglob("*") if p.suffix.lower() in IMAGES) if place.is_dir() else [place]
    if not files:
        raise SlimError(f"--images: {place} holds no image ({', '.join(sorted(IMAGES))})")
    return files


def read_settings(folder: Path) -> dict[str, Any]:
    """Read ``inference.yml``.

    Raises:
        SlimError: it is missing.
    """
    file = folder / f"{NAME}.yml"
    if not folder.is_dir():
        raise SlimError(f"--model-dir: there is no folder {folder}; give the one that export_model.py wrote")
    if not file.is_file():
        raise SlimError(f"--model-dir: {folder} has no {file.name}; export the model with tools/export_model.py")
    return yaml.safe_load(file.read_text(encoding="utf-8"))


def preprocess(file: Path, steps: list[Any]) -> np.ndarray:
    """Decode one image and apply the operators; ``[C, H, W]`` float32.

    Raises:
        SlimError: it is not an image.
    """
    import cv2  # for start-up time

    pixels = np.frombuffer(file.read_bytes(), dtype=np.uint8)
    image: Any = cv2.imdecode(pixels, cv2.IMREAD_COLOR) if pixels.size else None
    if image is None:
        raise SlimError(f"--images: {file} cannot be decoded as an image")
    image = image[:, :, ::-1]
    for step in steps:
        image = step(image)
    return np.asarray(image, dtype=np.float32)


def _steps(settings: dict[str, Any]) -> list[Any]:
    """PaddleClas's operators for the preprocessing of ``inference.yml``."""
    find_ppcls()
    from ppcls.data import create_operators  # after find_ppcls

    operators = settings["PreProcess"]["transform_ops"]
    for operator in operators:
        if "NormalizeImage" in operator:
            operator["NormalizeImage"].pop("channel_num", None)  # only the deploy tools take it
    return create_operators(operators)


def read_names(folder: Path) -> dict[int, str]:
    """Read ``labels.txt`` (a number and a name a line); empty where there is none."""
    file = folder / LABELS
    if not file.is_file():
        return {}
    pairs = (line.partition(" ") for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    return {int(number): name for number, _, name in pairs}


def _describe(
    file: Path, output: np.ndarray, postprocess: dict[str, Any], names: dict[int, str], topk: Optional[int]
) -> dict[str, Any]:
    options = postprocess.get("Topk")
    if options is None:
        return {"file": os.fspath(file), "output": [round(float(v), 6) for v in output.reshape(-1)]}
    count = min(topk or options.get("topk", 5), output.size)
    best = output.reshape(-1).argsort(kind="stable")[::-1][:count]
    return {
        "file": os.fspath(file),
        "class_ids": [int(i) for i in best],
        "scores": [round(float(output.reshape(-1)[i]), 5) for i in best],
        "label_names": [names[int(i)] for i in best if int(i) in names],
    }


def _line(result: dict[str, Any]) -> str:
    if "output" in result:
        values = result["output"]
        return f"{result['file']}:\t{len(values)} values, {values[:4]}..."
    return (
        f"{result['file']}:\tclass id(s): {result['class_ids']}, score(s): {result['scores']}, "
        f"label_name(s): {result['label_names']}"
    )
