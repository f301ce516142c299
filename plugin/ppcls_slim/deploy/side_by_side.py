"""The exports of one model for several engines, side by side in one run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from prettytable import PrettyTable

from ..config.deploy import PADDLE
from ..report.tables import Comparison, si
from .job import ExportJob
from .target import find_target
from .timing import latencies

RUNS = 30
GAIN = 1.05
"""Below this, an export is not called faster than the dense model."""


def side_by_side(job: ExportJob, tables: Mapping[str, Sequence[Comparison]]) -> str:
    """Time the exports in turns, batch 1, one thread; return a table, and one line that says which to deploy.

    Args:
        job: whose targets were written.
        tables: name of a target -> its comparison with the dense model in the same engine.
    """
    folders = {name: job.folder if name == PADDLE else job.folder / name for name in tables}
    targets = {name: find_target(name, job.quant is not None) for name in tables}
    runs = {name: targets[name].load(folder, job.device) for name, folder in folders.items()}
    image = np.random.default_rng(0).standard_normal([1, *job.input_shape]).astype(np.float32)
    taken = latencies([partial(run, image) for run in runs.values()], RUNS)
    shown = PrettyTable(["target", "runs in", "weights", "latency, batch 1", "dense FP32 : this", "top-1 as trained"])
    shown.align = "r"
    shown.align["target"] = shown.align["runs in"] = "l"
    gains = {name: _gain(rows) for name, rows in tables.items()}
    for (name, run), milliseconds in zip(runs.items(), taken):
        size = (folders[name] / targets[name].weights).stat().st_size
        row = [name, run.precision, f"{si(size)}B", f"{milliseconds:.3f} ms", f"{gains[name]:.2f} x"]
        shown.add_row([*row, _equal(tables[name])])
    fastest = list(runs)[int(np.argmin(taken))]
    return "\n".join([shown.get_string(), _advice(fastest, folders[fastest], gains[fastest])])


def _gain(rows: Sequence[Comparison]) -> float:
    """Latency of the dense model / of the export, first batch size."""
    row = next(row for row in rows if row.what.startswith("latency"))
    return float(row.before or 0.0) / float(row.after or 1.0)


def _equal(rows: Sequence[Comparison]) -> str:
    share = next((row.after for row in rows if row.what.startswith("equal top-1")), None)
    return "" if share is None else f"{share:.2f} %"


def _advice(name: str, folder: Path, gain: float) -> str:
    if gain >= GAIN:
        return f"deploy {folder} ({name}): the fastest here, {gain:.2f} times dense FP32 in the same engine"
    return (
        f"{folder} ({name}) is the fastest here, and not faster than the dense model in FP32 ({gain:.2f} times): "
        "try another engine in Slim.deploy.targets, BF16, a larger ratio, or leave layers float with Slim.quant.skip"
    )
