"""The latency meter of a configuration: exports the model as ``tools/export_model.py`` would, and times it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.paddleclas.types import ClasConfig
from ..config.prune import LATENCY_ENGINES
from ..config.section import SlimConfig
from ..deploy.job import ExportJob
from ..deploy.latency.clock import cpus_of_process
from ..deploy.latency.meter import EngineMeter
from ..prune.apply import apply_slices
from ..prune.slices import SlicePlan
from ..verify.samples import Samples
from .build import build_untrained, wrapped


def latency_meter(
    config: ClasConfig, slim: SlimConfig, model: paddle.nn.Layer, tell: Callable[[str], None]
) -> Optional[EngineMeter]:
    """Return the meter of the engine that ``Slim.prune.on`` names; None where latency is not asked for.

    Args:
        config: PaddleClas configuration.
        slim: its section.
        model: dense, with its weights.
        tell: shows the user a line.

    Raises:
        SlimError: the engine is not installed, its latency cannot be measured, or there are fewer CPUs than threads.
    """
    if slim.prune is None or not slim.prune.by_latency:
        return None
    on = slim.prune.place
    engine = on.engine or slim.deploy.targets[0]
    if engine not in LATENCY_ENGINES:
        raise SlimError(
            f"Slim.deploy.targets: latency on {engine} cannot be measured; set Slim.prune.on.engine to one of "
            f"{', '.join(LATENCY_ENGINES)}"
        )
    _check_threads(on.threads)
    shape = tuple(slim.prune.input_shape or config["Global"]["image_shape"])
    noise = np.random.default_rng(0).standard_normal([1, *shape], dtype=np.float32)

    def job_of(slices: Optional[SlicePlan], folder: Path) -> ExportJob:
        return ExportJob(
            folder=folder,
            model=wrapped(_without(slices, config, model), config),
            int8_model=None,
            dense_model=lambda: wrapped(build_untrained(config), config),
            input_shape=shape,
            device="cpu",
            samples=Samples(noise, "noise"),
            evaluation=lambda: None,
            gives_features=False,
            plan=None,
            quant=None,
            top1_dense=None,
            metric=None,
            sidecar=lambda verified: {},
            settings=None,
            report=None,
            inference_yml="",
            labels=None,
        )

    meter = EngineMeter(on, engine, job_of, shape, tell)
    if slim.quant is not None:
        meter.say(f"Slim.prune.{slim.prune.budget} is asked of the float model: int8 of Slim.quant is not timed")
    return meter


def _check_threads(threads: int) -> None:
    cpus = cpus_of_process()
    if threads > cpus:
        raise SlimError(
            f"Slim.prune.on.threads: {threads} threads cannot be timed on the {cpus} CPU{'s' if cpus > 1 else ''} "
            f"that this process may use: set {cpus} or less"
        )


def _without(slices: Optional[SlicePlan], config: ClasConfig, model: paddle.nn.Layer) -> paddle.nn.Layer:
    """A new model with the weights of the dense one, without some channels."""
    fresh = build_untrained(config)
    fresh.set_state_dict(model.state_dict())
    if slices is not None:
        apply_slices(fresh, slices)
    return fresh
