"""What was exported, for every engine and in every precision, side by side in one run; and which of it to deploy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Optional

import numpy as np
from prettytable import PrettyTable

from ..report.tables import si
from ..verify.agreement import Agreement, agreement
from .job import ExportJob
from .parity import int8_options
from .target import Runner, Target, Verified, runners
from .timing import latencies

RUNS = 20
GAIN = 1.05
"""Below this, an export is not called faster than the dense model."""
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
        milliseconds: latency of one image, one thread.
        gain: latency of the dense model in FP32 in the same engine / of this.
        found: top-1, and the share of predictions as trained.
    """

    name: str
    model: str
    precision: str
    folder: Path
    file_bytes: int
    milliseconds: float
    gain: float
    found: Agreement


def side_by_side(job: ExportJob, exported: Mapping[str, Exported]) -> list[Row]:
    """Time all ways of running the model in turns, batch 1, one thread.

    Args:
        job: whose targets were written.
        exported: name of a target -> what was exported for it.

    Returns:
        The rows; of a target, FP32 of the dense model first.
    """
    ways = [way for name, one in exported.items() for way in _ways(name, one, job)]
    image = np.random.default_rng(0).standard_normal([1, *job.input_shape]).astype(np.float32)
    taken = latencies([partial(way.run, image) for way in ways], RUNS)
    first: dict[str, float] = {}
    rows = []
    for way, milliseconds in zip(ways, taken):
        gain = first.setdefault(way.name, milliseconds) / milliseconds
        size = (way.folder / way.target.weights).stat().st_size
        found = _found(way, ways, exported[way.name].verified, job)
        rows.append(Row(way.name, way.model, way.run.precision, way.folder, size, milliseconds, gain, found))
    return rows


def table(rows: Sequence[Row]) -> str:
    """One line a row; targets are divided."""
    shown = PrettyTable(
        ["target", "model", "runs in", "weights", "latency, batch 1", "speed-up", "top-1", "as trained"]
    )
    shown.align = "r"
    for column in ("target", "model", "runs in"):
        shown.align[column] = "l"
    for number, row in enumerate(rows):
        last = number + 1 == len(rows) or rows[number + 1].name != row.name
        size, latency, gain = f"{si(row.file_bytes)}B", f"{row.milliseconds:.3f} ms", f"{row.gain:.2f} x"
        accuracy = [_percent(row.found.top1), _percent(row.found.same)]
        shown.add_row([row.name, row.model, row.precision, size, latency, gain, *accuracy], divider=last)
    return shown.get_string()


def advice(rows: Sequence[Row]) -> list[str]:
    """What to deploy, in one line, behind a line for every target in which compression gains nothing."""
    exports = [row for row in rows if row.model == EXPORTED]
    best = min(exports, key=lambda row: row.milliseconds)
    compressed = any(row.model == DENSE for row in rows)
    if not compressed:
        return [f"deploy {best.folder} ({best.name}, {best.precision}): the fastest here, {best.milliseconds:.3f} ms"]
    lines = []
    for name in dict.fromkeys(row.name for row in exports):
        fastest = min((row for row in exports if row.name == name), key=lambda row: row.milliseconds)
        if fastest.gain < GAIN:
            lines.append(_no_gain(fastest, [row for row in rows if row.name == name]))
    if best.gain >= GAIN:
        line = f"deploy {best.folder} ({best.name}, {best.precision}): the fastest here, {best.gain:.2f} times dense "
        lines.append(f"{line}FP32 in the same engine{_dense_is_as_fast(best, rows)}")
    return lines


def _no_gain(row: Row, rows_of_target: Sequence[Row]) -> str:
    """What would help where compression gains nothing."""
    helps = ["another engine in Slim.deploy.targets"]
    bf16 = next((one for one in rows_of_target if one.precision == "bf16"), None)
    if bf16 is not None and bf16.gain >= GAIN:
        helps.insert(0, f"BF16 ({bf16.gain:.2f} times, without training)")
    helps.append("Slim.quant.skip: auto-speed" if row.precision == "int8" else "a larger ratio, or Slim.quant")
    return (
        f"{row.folder} ({row.name}, {row.precision}) is no faster than the dense model in FP32 ({row.gain:.2f} "
        f"times): try {', '.join(helps)}"
    )


def _dense_is_as_fast(best: Row, rows: Sequence[Row]) -> str:
    """A hint where the dense model in another precision costs the same time, and no accuracy."""
    other = min((row for row in rows if row.model == DENSE), key=lambda row: row.milliseconds)
    if other.milliseconds > best.milliseconds * GAIN:
        return ""
    return f"; the dense model in {other.precision.upper()} takes {other.milliseconds:.3f} ms ({other.name})"


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


def _percent(share: Optional[float]) -> str:
    return "" if share is None else f"{100 * share:.2f} %"
