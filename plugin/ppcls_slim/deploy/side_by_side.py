"""What was exported, for every engine and in every precision, side by side in one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Optional

import numpy as np
from prettytable import PrettyTable

from ..common.numbers import si
from ..verify.agreement import Agreement, agreement
from .job import ExportJob
from .parity import Int8Options, int8_options
from .target import Runner, Target, Verified, runners
from .timing import Latency, measure

RUNS = 20
DENSE, EXPORTED = "dense", "exported"


@dataclass(frozen=True)
class Exported:
    """What was exported for one target.

    Attributes:
        target: the target.
        folder: where it lies.
        verified: what verifying it found.
        baseline: target and folder of the dense model; None where the model is dense itself.
    """

    target: Target
    folder: Path
    verified: Verified
    baseline: Optional[tuple[Target, Path]]


@dataclass(frozen=True)
class Row:
    """One way of running the model.

    Attributes:
        name: of the target, as in ``Slim.deploy.targets``.
        model: ``dense`` (with untrained weights, for its latency) or ``exported``.
        precision: what it runs in.
        folder: where it lies.
        file_bytes: size of its file of weights.
        latency: of one image, one thread.
        gain: latency of the dense model in FP32 in the same engine / of this.
        found: top-1, and the share of predictions as trained.
        holds: whether its accuracy is within ``Slim.quant.verify_threshold`` of the trained model's.
    """

    name: str
    model: str
    precision: str
    folder: Path
    file_bytes: int
    latency: Latency
    gain: float
    found: Agreement
    holds: bool = True

    @property
    def milliseconds(self) -> float:
        """Median latency."""
        return self.latency.median_ms


def side_by_side(job: ExportJob, exported: Mapping[str, Exported], warn: Callable[[str], None]) -> list[Row]:
    """Time all ways of running the model in turns, batch 1, one thread.

    Args:
        job: whose targets were written.
        exported: name of a target -> what was exported for it.
        warn: takes the line that says that the machine was busy.

    Returns:
        The rows; of a target, FP32 of the dense model first.
    """
    ways = [way for name, one in exported.items() for way in _ways(name, one, job)]
    image = np.random.default_rng(0).standard_normal([1, *job.input_shape]).astype(np.float32)
    measured = measure([partial(way.run, image) for way in ways], RUNS)
    if measured.warning is not None:
        warn(measured.warning)
    settings = job.quant_settings
    threshold = Int8Options().threshold if settings is None else settings.verify_threshold
    first: dict[str, float] = {}
    rows = []
    for way, latency in zip(ways, measured.latencies):
        gain = first.setdefault(way.name, latency.median_ms) / latency.median_ms
        size = (way.folder / way.target.weights).stat().st_size
        verified = exported[way.name].verified
        found = _found(way, ways, verified, job)
        holds = way.model == DENSE or accuracy_holds(found, verified, threshold, len(job.samples.images))
        rows.append(Row(way.name, way.model, way.run.precision, way.folder, size, latency, gain, found, holds))
    return rows


def table(rows: Sequence[Row]) -> str:
    """One line a row; targets are divided."""
    shown = PrettyTable(
        ["target", "model", "runs in", "weights", "ms, batch 1 (10..90 %)", "speed-up", "top-1", "as trained"]
    )
    shown.align = "r"
    for column in ("target", "model", "runs in"):
        shown.align[column] = "l"
    for number, row in enumerate(rows):
        last = number + 1 == len(rows) or rows[number + 1].name != row.name
        size, latency, gain = f"{si(row.file_bytes)}B", str(row.latency), f"{row.gain:.2f} x"
        accuracy = [_percent(row.found.top1), _percent(row.found.same)]
        shown.add_row([row.name, row.model, row.precision, size, latency, gain, *accuracy], divider=last)
    return shown.get_string()


@dataclass(frozen=True)
class _Way:
    name: str
    model: str
    target: Target
    folder: Path
    run: Runner


def _ways(name: str, one: Exported, job: ExportJob) -> Iterator[_Way]:
    models = [(DENSE, *one.baseline)] if one.baseline is not None else []
    for model, target, folder in [*models, (EXPORTED, one.target, one.folder)]:
        for run in runners(target, folder, job.device):
            yield _Way(name, model, target, folder, run)


def _found(way: _Way, ways: Sequence[_Way], verified: Verified, job: ExportJob) -> Agreement:
    """Accuracy of a row: of what was verified, as found there; of another precision, measured against that."""
    if way.model == DENSE:
        return Agreement(None, None)
    reference = next(one for one in ways if (one.name, one.model) == (way.name, way.model))
    if way is reference or job.gives_features:
        return verified.found if way is reference else Agreement(None, None)
    if job.quant is None:  # on the samples that the first was verified on
        return agreement(reference.run, way.run, job.samples.images, None, len(job.samples.images))
    return agreement(reference.run, way.run, job.samples.images, job.evaluation(), int8_options(job).samples)


def accuracy_holds(found: Agreement, verified: Verified, threshold: float, samples: int) -> bool:
    """Whether a row keeps the accuracy of the trained model; what was not verified itself is held against what was.

    Args:
        found: of the row.
        verified: of its target.
        threshold: share of top-1 that may be lost, or, without labels, of predictions that may be others.
        samples: that were compared without labels; one of them may always be another.
    """
    if verified.figures.get("warned", False):
        return False
    if found is verified.found:
        return True
    if found.top1 is not None and verified.found.top1 is not None:
        return verified.found.top1 - found.top1 <= threshold
    return found.same is not None and (1 - found.same) * samples <= max(threshold * samples, 1.0)


def _percent(share: Optional[float]) -> str:
    return "" if share is None else f"{100 * share:.2f} %"
