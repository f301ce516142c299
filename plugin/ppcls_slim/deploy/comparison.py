"""An export beside the dense model: FLOPs, parameters, size and latency."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Optional

import numpy as np

from ..compat.paddleclas.logger import logger
from ..config.section import ReportConfig
from ..prune.plan import Plan
from ..report.tables import Comparison, comparison_table, summary
from .job import ExportJob
from .target import Runner, Target, Verified, find_target
from .timing import measure

RUNS = 20
"""Timed runs of each model where ``Slim.report`` does not say."""


def export_dense(job: ExportJob, target: Target, folder: Path) -> Target:
    """Export the dense model with untrained weights, for its latency.

    Args:
        job: exported already.
        target: what it was exported for.
        folder: to write into; does not exist.

    Returns:
        The target that the dense model was exported for.
    """
    baseline = find_target(target.baseline)
    folder.mkdir()
    baseline.write(job.of_dense_model(folder), folder)
    return baseline


def compare_with_dense(
    job: ExportJob, target: Target, verified: Verified, baseline: Target, dense: Path, warn: Callable[[str], None]
) -> list[Comparison]:
    """Time the dense model and the export, and log the table.

    Args:
        job: exported already.
        target: what it was exported for.
        verified: what verifying it found.
        baseline: what :func:`export_dense` returned.
        dense: folder of the dense model.
        warn: takes the line that says that the machine was busy.

    Returns:
        The rows of the table.
    """
    both = ((baseline, dense), (target, job.folder))
    before, after = ((folder / one.weights).stat().st_size for one, folder in both)
    latency = _latency(job, target.engine, [one.load(folder, job.device) for one, folder in both], warn)
    rows = [*verified.rows, *_of_plan(job.plan), Comparison("file of weights", before, after, "B"), *latency]
    lines = comparison_table(rows, *target.headings).splitlines()
    if job.plan is not None and job.quant is None:
        lines.append(summary(job.plan))
    for line in lines:
        logger.info(line)
    return rows


def _of_plan(plan: Optional[Plan]) -> list[Comparison]:
    if plan is None:
        return []
    flops, parameters = plan.flops, plan.parameters
    return [
        Comparison("FLOPs (multiply-accumulates)", flops["dense"], flops["pruned"]),
        Comparison("parameters", parameters["dense"], parameters["pruned"]),
    ]


def _latency(job: ExportJob, engine: str, runs: Sequence[Runner], warn: Callable[[str], None]) -> list[Comparison]:
    report = job.report or ReportConfig(latency_runs=RUNS)
    where = "GPU" if job.device == "gpu" else f"one thread, {engine}"
    rows = []
    for batch in report.batch_sizes:
        images = np.random.default_rng(0).standard_normal([batch, *job.input_shape]).astype(np.float32)
        found = measure([partial(run, images) for run in runs], report.latency_runs)
        if found.warning is not None:
            warn(found.warning)
        dense, compressed = found.latencies
        row = Comparison(f"latency, batch {batch}, {where}", dense.median_ms, compressed.median_ms, "ms")
        rows.append(replace(row, spread_before=dense.spread, spread_after=compressed.spread))
    return rows
