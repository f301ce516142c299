"""One backbone through one job, with the functions that the tools call; runs in a process of its own."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.backbones import setup
from benchmarks.backbones.constructors import arguments, constructors, file_of
from benchmarks.backbones.dense import Job
from benchmarks.backbones.prune_job import run_prune
from benchmarks.backbones.quant_job import run_quant
from benchmarks.backbones.rows import MatrixRow
from ppcls_slim.compat.paddle import paddle

from ppcls.utils import logger  # isort: skip  # there once the engine was imported

JOBS: dict[str, Callable[[Job, Callable[[str], None]], None]] = {"prune": run_prune, "quant": run_quant}


def run(row: MatrixRow, work: Path, stage: Callable[[str], None]) -> None:
    """Take one backbone through one job and write into the row what was found.

    Args:
        row: names the backbone and the job.
        work: holds the digits, and gets a folder for this job.
        stage: is told what is done next.

    Raises:
        SlimError: a step refuses, or its result is wrong.
    """
    start = time.perf_counter()
    try:
        stage("build")
        paddle.seed(0)
        logger.init_logger()  # backbones of 2.5 and newer log while they are built
        constructor = constructors()[row.backbone]
        row.file = file_of(constructor)
        folder = work / f"{row.backbone}-{row.job}"
        folder.mkdir(parents=True, exist_ok=True)
        arch = {"name": row.backbone, **arguments(constructor)}
        JOBS[row.job](Job(row, arch, folder, setup.data_folder(work)), stage)
    finally:
        row.seconds = time.perf_counter() - start
