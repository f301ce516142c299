"""The latency meter of a network: exports it as export does, and times it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Optional

import numpy as np

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...config.deploy import PADDLE
from ...config.prune import LATENCY_ENGINES, PruneConfig
from ...prune.slices import SlicePlan
from ...verify.samples import Samples
from ..job import ExportJob
from .clock import cpus_of_process
from .meter import EngineMeter

Build = Callable[[Optional[SlicePlan]], paddle.nn.Layer]
"""Returns a new model with the weights of the dense one, without some channels (None: with all of them), wrapped for
export and in evaluation mode."""


def network_meter(
    section: PruneConfig,
    input_shape: tuple[int, ...],
    build: Build,
    tell: Callable[[str], None],
    target: str = PADDLE,
) -> EngineMeter:
    """Return the meter of the engine that ``Slim.prune.on`` names.

    Args:
        section: with ``speedup`` or ``latency_ms``.
        input_shape: ``[C, H, W]``.
        build: see above.
        tell: shows the user a line.
        target: the engine where ``on`` names none.

    Raises:
        SlimError: the engine is not installed, its latency cannot be measured, or there are fewer CPUs than threads.
    """
    engine = section.place.engine or target
    if engine not in LATENCY_ENGINES:
        raise SlimError(
            f"Slim.deploy.targets: latency on {engine} cannot be measured; set Slim.prune.on.engine to one of "
            f"{', '.join(LATENCY_ENGINES)}"
        )
    _check_threads(section.place.threads)
    shape = tuple(section.input_shape or input_shape)
    noise = np.random.default_rng(0).standard_normal([1, *shape], dtype=np.float32)

    def job_of(slices: Optional[SlicePlan], folder: Path) -> ExportJob:
        return ExportJob(
            folder=folder,
            model=build(slices),
            dense_model=lambda: build(None),
            input_shape=shape,
            samples=Samples(noise, "noise"),
        )

    return EngineMeter(section.place, engine, job_of, shape, tell)


def _check_threads(threads: int) -> None:
    cpus = cpus_of_process()
    if threads > cpus:
        raise SlimError(
            f"Slim.prune.on.threads: {threads} threads cannot be timed on the {cpus} CPU{'s' if cpus > 1 else ''} "
            f"that this process may use: set {cpus} or less"
        )
