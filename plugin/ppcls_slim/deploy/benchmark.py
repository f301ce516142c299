"""``ppcls-slim benchmark``: exported models side by side, each against the first, in one run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Optional

import numpy as np
from prettytable import PrettyTable

from ..common import atomic
from ..common.errors import SlimError
from ..common.yaml_file import read_yaml
from ..compat.paddle import paddle
from ..compat.paddleclas.types import DataLoader
from ..report.tables import si
from ..verify.accuracy import top1_of
from .paddle_inference import NAME
from .predict import settings_file
from .target import Runner, target_of
from .timing import timings


@dataclass(frozen=True)
class Measured:
    """One exported model at one batch size.

    Attributes:
        model: its folder.
        precision: what it ran in.
        file_bytes: size of its file of weights.
        batch: images at a time.
        median_ms: latency of a batch.
        p90_ms: nine of ten runs took no longer.
        images_per_s: batch / median.
        speed_up: median of the first model / median of this one, same batch, same run.
        top1: share of right predictions on the evaluation data, None without data.
    """

    model: str
    precision: str
    file_bytes: int
    batch: int
    median_ms: float
    p90_ms: float
    images_per_s: float
    speed_up: float
    top1: Optional[float]


def benchmark(
    folders: Sequence[Path],
    batches: Sequence[int] = (1,),
    device: str = "cpu",
    threads: int = 1,
    precision: str = "auto",
    runs: int = 50,
    loader: Optional[DataLoader] = None,
    limit: Optional[int] = None,
    log: Callable[[str], None] = print,
) -> list[Measured]:
    """Measure exported models in turns, so that noise of the machine meets all alike.

    Args:
        folders: what export wrote; the first is what the others are compared with.
        batches: batch sizes.
        device: ``cpu`` (oneDNN) or ``gpu``.
        threads: CPU threads.
        precision: ``auto`` (int8 where the model is quantized), or ``fp32``, ``int8``, ``bf16`` or ``fp16`` for all.
        runs: timed runs of every model and batch.
        loader: evaluation data ``(images, labels)``; None measures no accuracy.
        limit: samples of it at most; None: all.
        log: takes a line of progress.

    Raises:
        SlimError: a folder holds no exported model, or cannot run as asked.
    """
    shapes = {folder: input_shape(folder) for folder in folders}
    targets = {folder: target_of(folder) for folder in folders}
    models = {folder: targets[folder].load(folder, device, threads, precision) for folder in folders}
    top1 = _accuracies(models, loader, limit, log) if loader is not None else {}
    measured = []
    for batch in batches:
        log(f"batch {batch}: {runs} runs of each ...")
        medians, p90 = _time_batch([(models[folder], shapes[folder]) for folder in folders], batch, runs)
        measured += [
            Measured(
                model=str(folder),
                precision=models[folder].precision,
                file_bytes=(folder / targets[folder].weights).stat().st_size,
                batch=batch,
                median_ms=float(medians[i]),
                p90_ms=float(p90[i]),
                images_per_s=1e3 * batch / float(medians[i]),
                speed_up=float(medians[0] / medians[i]),
                top1=top1.get(folder),
            )
            for i, folder in enumerate(folders)
        ]
    return measured


def _accuracies(
    models: Mapping[Path, Runner], loader: DataLoader, limit: Optional[int], log: Callable[[str], None]
) -> dict[Path, float]:
    """Top-1 of every model, a share."""
    found = {}
    for folder, run in models.items():
        log(f"{folder}: accuracy ...")
        found[folder] = top1_of(run, loader, limit)
    return found


def _time_batch(
    models: Sequence[tuple[Runner, tuple[int, ...]]], batch: int, runs: int
) -> tuple[np.ndarray, np.ndarray]:
    """Median and 90th percentile ``[len(models)]`` of models with input shapes ``(C, H, W)``, in milliseconds."""
    inputs = {
        shape: np.random.default_rng(0).standard_normal([batch, *shape]).astype(np.float32) for _, shape in models
    }
    taken = timings([partial(run, inputs[shape]) for run, shape in models], runs) * 1e3
    return np.median(taken, axis=0), np.percentile(taken, 90, axis=0)


def input_shape(folder: Path) -> tuple[int, ...]:
    """``(C, H, W)`` that a model was exported for.

    Raises:
        SlimError: its ``inference.yml`` does not say.
    """
    section = read_yaml(settings_file(folder)).get("Global")
    shape = section.get("image_shape") if isinstance(section, dict) else None
    if not isinstance(shape, list) or not shape or not all(isinstance(side, int) and side > 0 for side in shape):
        raise SlimError(f"{folder / NAME}.yml: Global.image_shape is missing; write it there, as [3, 224, 224]")
    return tuple(shape)


def table(measured: Sequence[Measured]) -> str:
    """One line a model and batch size."""
    accuracy = any(one.top1 is not None for one in measured)
    head = ["model", "runs in", "weights", "batch", "median", "90 %", "images/s", "speed-up"]
    shown = PrettyTable([*head, "top-1"] if accuracy else head)
    shown.align = "r"
    shown.align["model"] = shown.align["runs in"] = "l"
    batch = measured[0].batch
    for one in measured:
        if one.batch != batch:
            shown.add_divider()
            batch = one.batch
        row = [one.model, one.precision, f"{si(one.file_bytes)}B", one.batch, f"{one.median_ms:.3f} ms"]
        row += [f"{one.p90_ms:.3f} ms", f"{one.images_per_s:.1f}", f"{one.speed_up:.2f} x"]
        shown.add_row([*row, "" if one.top1 is None else f"{100 * one.top1:.2f} %"] if accuracy else row)
    return shown.get_string()


def write_json(path: Path, measured: Sequence[Measured], device: str, threads: int) -> None:
    """Write the figures, and what they were measured with."""
    content = {
        "paddle": paddle.__version__,
        "device": device,
        "threads": threads,
        "measured": [asdict(one) for one in measured],
    }
    atomic.write_json(path, content)
