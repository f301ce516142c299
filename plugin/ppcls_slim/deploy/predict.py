"""``ppcls-slim predict``: images through an exported model."""

from __future__ import annotations

import argparse
import copy
import os
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..common import atomic
from ..common.errors import SlimError, naming
from ..compat.paddle import default_device
from ..compat.paddleclas.operators import make_operators
from .inference_yml import LABELS, InferenceYml, TopkOptions, read_inference_yml
from .paddle_inference import NAME
from .target import target_of

IMAGES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def predict(arguments: argparse.Namespace) -> None:
    """Print one line an image: class ids, scores, names.

    Raises:
        SlimError: no exported model, no image, or an image that cannot be read.
    """
    files = image_files(arguments.images)
    with naming("--model-dir"):
        yml = settings_file(arguments.model_dir)
    settings = read_inference_yml(yml)
    steps = _steps(settings)
    with naming("--model-dir"):
        target = target_of(arguments.model_dir)
    device = arguments.device or default_device()
    run = target.load(arguments.model_dir, device, arguments.threads, arguments.precision)
    names = read_names(arguments.model_dir)
    results = []
    size = arguments.batch_size
    for start in range(0, len(files), size):
        batch = files[start : start + size]
        outputs = run(_stack([preprocess(file, steps) for file in batch]))
        for file, output in zip(batch, outputs):
            results.append(_describe(file, output, settings.PostProcess.Topk, names, arguments.topk))
            print(_line(results[-1]))
    if arguments.json:
        atomic.write_json(arguments.json, results)


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


def settings_file(folder: Path) -> Path:
    """Return the path of ``inference.yml``.

    Raises:
        SlimError: it is missing.
    """
    file = folder / f"{NAME}.yml"
    if not folder.is_dir():
        raise SlimError(f"there is no folder {folder}; give one that ppcls-slim export wrote")
    if not file.is_file():
        raise SlimError(f"{folder} has no {file.name}; give a folder that ppcls-slim export wrote")
    return file


def preprocess(file: Path, steps: list[Any]) -> np.ndarray:
    """Decode one image and apply the operators; ``[C, H, W]`` float32.

    Raises:
        SlimError: it is not an image, or an operator does not take it.
    """
    import cv2  # for start-up time

    pixels = np.frombuffer(file.read_bytes(), dtype=np.uint8)
    image: Any = cv2.imdecode(pixels, cv2.IMREAD_COLOR) if pixels.size else None
    if image is None:
        raise SlimError(f"--images: {file} cannot be decoded as an image")
    image = image[:, :, ::-1]
    for step in steps:
        try:
            image = step(image)
        except Exception as error:  # whatever an operator raises on arguments from a file
            raise SlimError(f"--images: {file}: {type(step).__name__} of {NAME}.yml: {error}") from error
    return np.asarray(image, dtype=np.float32)


def _stack(images: list[np.ndarray]) -> np.ndarray:
    """Images ``[C, H, W]`` -> ``[n, C, H, W]``."""
    if len({image.shape for image in images}) > 1:
        raise SlimError(f"--batch-size: {NAME}.yml leaves images of different size; give --batch-size 1")
    return np.stack(images)


def _steps(settings: InferenceYml) -> list[Any]:
    """PaddleClas's operators for the preprocessing of ``inference.yml``."""
    operators = copy.deepcopy(settings.PreProcess.transform_ops)
    for operator in operators:
        normalize = operator.get("NormalizeImage")
        if normalize:
            normalize.pop("channel_num", None)  # only the deploy tools take it
    return make_operators(operators, f"{NAME}.yml: PreProcess.transform_ops")


def read_names(folder: Path) -> dict[int, str]:
    """Read ``labels.txt`` (a number and a name a line); empty where there is none."""
    file = folder / LABELS
    if not file.is_file():
        return {}
    names = {}
    for line, text in enumerate(file.read_text(encoding="utf-8", errors="replace").splitlines(), 1):
        number, _, name = text.partition(" ")
        if number.isdecimal():
            names[int(number)] = name
        elif text.strip():
            raise SlimError(f"{file}, line {line}: write a number and a name, as '7 seven'")
    return names


def _describe(
    file: Path, output: np.ndarray, settings: Optional[TopkOptions], names: dict[int, str], topk: Optional[int]
) -> dict[str, Any]:
    if settings is None:
        return {"file": os.fspath(file), "output": [round(float(v), 6) for v in output.reshape(-1)]}
    count = min(topk or settings.topk, output.size)
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
