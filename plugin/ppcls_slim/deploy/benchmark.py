"""``ppcls-slim benchmark``: exported models side by side, each against the first, in one run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Optional

import numpy as np
from prettytable import PrettyTable

from ..common import atomic
from ..common.errors import SlimError, did_you_mean
from ..common.numbers import si
from ..common.yaml_file import read_yaml
from ..compat.paddle import paddle
from ..compat.paddleclas.types import DataLoader
from ..config.deploy import target_names
from ..report.tables import WIDTH, short
from ..verify.agreement import Agreement, agreement
from .export import export_folder
from .paddle_inference import NAME, read_sidecar
from .predict import settings_file
from .target import Runner, Target, runners, target_of
from .timing import Measured as Timed
from .timing import measure

ALL = "all"
"""Every precision, or every engine."""
NOT_OF_THE_MODEL = ("verified",)
"""Keys of ``inference.slim.json`` that differ between the exports of one model."""


@dataclass(frozen=True)
class Measured:
    """One exported model at one batch size.

    Attributes:
        model: its folder.
        engine: what runs it.
        precision: what it ran in.
        file_bytes: size of its file of weights.
        batch: images at a time.
        median_ms: latency of a batch.
        p10_ms: one of ten runs took no longer.
        p90_ms: nine of ten runs took no longer.
        variation: standard deviation / mean of the latency, see :class:`.timing.Latency`.
        images_per_s: batch / median.
        speed_up: median of the first row / median of this one, same batch, same run.
        top1: share of right predictions on the evaluation data, None without data.
        same_as_first: share of predictions as the first row's, None without data.
    """

    model: str
    engine: str
    precision: str
    file_bytes: int
    batch: int
    median_ms: float
    p10_ms: float
    p90_ms: float
    variation: float
    images_per_s: float
    speed_up: float
    top1: Optional[float]
    same_as_first: Optional[float]


@dataclass(frozen=True)
class Loaded:
    """An exported model, loaded in one precision."""

    folder: Path
    target: Target
    run: Runner
    shape: tuple[int, ...]


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
    warn: Callable[[str], None] = print,
) -> list[Measured]:
    """Measure exported models in turns, so that noise of the machine meets all alike.

    Args:
        folders: what export wrote; what is loaded first is what the others are compared with.
        batches: batch sizes.
        device: ``cpu`` (oneDNN) or ``gpu``.
        threads: CPU threads.
        precision: ``auto`` (int8 where the model is quantized), ``all`` (every one that an export runs in on this
            machine), or ``fp32``, ``int8``, ``bf16`` or ``fp16`` for all.
        runs: timed runs of every model and batch.
        loader: evaluation data ``(images, labels)``; None measures no accuracy.
        limit: samples of it at most; None: all.
        log: takes a line of progress.
        warn: takes a line that says that the machine was busy.

    Raises:
        SlimError: a folder holds no exported model, or cannot run as asked.
    """
    models = [one for folder in folders for one in _load(folder, device, threads, precision)]
    found = _accuracies(models, loader, limit, log) if loader is not None else [Agreement(None, None)] * len(models)
    measured = []
    for batch in batches:
        log(f"batch {batch}: {runs} runs of each ...")
        timed = _time_batch(models, batch, runs)
        if timed.warning is not None:
            warn(f"batch {batch}: {timed.warning}")
        first = timed.latencies[0].median_ms
        measured += [
            Measured(
                model=str(one.folder),
                engine=one.target.engine,
                precision=one.run.precision,
                file_bytes=(one.folder / one.target.weights).stat().st_size,
                batch=batch,
                **asdict(latency),
                images_per_s=1e3 * batch / latency.median_ms,
                speed_up=first / latency.median_ms,
                top1=agrees.top1,
                same_as_first=agrees.same,
            )
            for one, latency, agrees in zip(models, timed.latencies, found)
        ]
    return measured


def exports_in(folder: Path, engine: str) -> list[Path]:
    """Folders of the exports of one model: for ``paddle`` the folder itself, for other targets folders in it.

    Args:
        folder: ``Global.save_inference_dir`` of an export with several targets.
        engine: name of a target as in ``Slim.deploy.targets``, or ``all``.

    Raises:
        SlimError: there is no such target, or no export for it; or one is of another model than the others.
    """
    names = target_names()
    if engine not in (ALL, *names):
        raise SlimError(
            f"--engine: '{engine}' is not a deployment target{did_you_mean(engine, names)}; there are "
            f"{', '.join(names)}, and all"
        )
    asked = names if engine == ALL else [engine]
    places = [export_folder(folder, name) for name in asked]
    found = [place for place in places if (place / f"{NAME}.yml").is_file()]
    if not found:
        raise SlimError(f"--engine {engine}: {folder} holds no export for it; export with Slim.deploy.targets=[...]")
    first, *others = (_compression(place) for place in found)
    for place, one in zip(found[1:], others):
        if one != first:
            raise SlimError(f"--engine: {place} was exported from another model than {found[0]}: export both again")
    return found


def _compression(folder: Path) -> dict[str, Any]:
    """How a model was compressed; empty for a dense one."""
    return {key: value for key, value in read_sidecar(folder).items() if key not in NOT_OF_THE_MODEL}


def _load(folder: Path, device: str, threads: int, precision: str) -> list[Loaded]:
    target, shape = target_of(folder), input_shape(folder)
    if precision == ALL:
        return [Loaded(folder, target, run, shape) for run in runners(target, folder, device, threads)]
    return [Loaded(folder, target, target.load(folder, device, threads, precision), shape)]


def _accuracies(
    models: Sequence[Loaded], loader: DataLoader, limit: Optional[int], log: Callable[[str], None]
) -> list[Agreement]:
    """Top-1 of every model, and how often it predicts what the first one does."""
    found = []
    for one in models:
        log(f"{one.folder} ({one.run.precision}): accuracy ...")
        found.append(agreement(models[0].run, one.run, np.empty(0), loader, limit or sys.maxsize))
    return found


def _time_batch(models: Sequence[Loaded], batch: int, runs: int) -> Timed:
    """Time all models with one batch size."""
    inputs = {
        one.shape: np.random.default_rng(0).standard_normal([batch, *one.shape]).astype(np.float32) for one in models
    }
    return measure([partial(one.run, inputs[one.shape]) for one in models], runs)


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
    """One line a model and batch size; below, where accuracy was measured, one line a model."""
    rows: list[list[str]] = []
    for one in measured:
        spread = f"{short(one.median_ms)} ({short(one.p10_ms)}..{short(one.p90_ms)})"
        size, speed, gain = f"{si(one.file_bytes)}B", f"{one.images_per_s:.1f}", f"{one.speed_up:.2f} x"
        rows.append([one.model, one.engine, one.precision, size, str(one.batch), spread, speed, gain])
    head = ["model", "engine", "runs in", "weights", "batch", "ms (10..90 %)", "images/s", "speed-up"]
    last = [number for number, (one, after) in enumerate(zip(measured, measured[1:])) if one.batch != after.batch]
    shown = [_table(head, rows, last)]
    ways = [one for one in measured if one.batch == measured[0].batch and one.top1 is not None]
    if ways:
        accuracy = [[f"{100 * share:.2f} %" for share in (one.top1 or 0.0, one.same_as_first or 0.0)] for one in ways]
        rows = [[one.model, one.engine, one.precision, *shares] for one, shares in zip(ways, accuracy)]
        shown.append(_table([*head[:3], "top-1", "as the first"], rows, []))
    return "\n".join(shown)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], last: Sequence[int]) -> str:
    """Columns of text to the left, of numbers to the right; of long paths the end. Lines follow the rows ``last``."""
    others = [max(map(len, cells)) + 3 for cells in zip(head[1:], *(row[1:] for row in rows))]
    room = max(WIDTH - sum(others) - 4, len("...model"))
    shown = PrettyTable(head)
    shown.align = "r"
    for column in head[:3]:
        shown.align[column] = "l"
    for number, (model, *row) in enumerate(rows):
        path = model if len(model) <= room else f"…{model[1 - room :]}"
        shown.add_row([path, *row], divider=number in last)
    return shown.get_string()


def write_json(path: Path, measured: Sequence[Measured], device: str, threads: int, warnings: Sequence[str]) -> None:
    """Write the figures, what they were measured with, and what speaks against them."""
    content = {
        "paddle": paddle.__version__,
        "device": device,
        "threads": threads,
        "warnings": list(warnings),
        "measured": [asdict(one) for one in measured],
    }
    atomic.write_json(path, content)
