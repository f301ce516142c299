"""From the engine's state to what a deployment target is given."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Optional

from .. import checkpoint as checkpoints
from ..compat.paddle import paddle
from ..compat.paddleclas.config import inference_device
from ..compat.paddleclas.types import ClasConfig
from ..deploy.inference_yml import inference_yml, labels_file
from ..deploy.job import ExportJob
from ..verify.samples import evaluation_data, samples
from .build import build_untrained, wrapped
from .run import Run
from .states import Quantized, State


def make_export_job(model: paddle.nn.Layer, state: State, run: Run) -> ExportJob:
    """Describe the export of a trained model.

    Args:
        model: with the trained weights loaded; its head may be replaced.
        state: what it is.
        run: of mode ``export``.

    Raises:
        SlimError: int8 cannot express what was trained.
    """
    config, metadata = run.config, run.metadata
    int8_model = _int8_model(model, state, config)  # first: wrapping the trained model may take its head off
    return ExportJob(
        folder=Path(config["Global"]["save_inference_dir"]),
        model=wrapped(model, config),
        int8_model=int8_model,
        dense_model=lambda: wrapped(build_untrained(config), config),
        input_shape=tuple(run.input_shape),
        device=inference_device(config),
        samples=samples(config),
        evaluation=partial(evaluation_data, config),
        gives_features=run.gives_features,
        plan=state.plan,
        quant=state.quant,
        top1_dense=metadata.top1_dense,
        metric=metadata.metric,
        sidecar=lambda verified: {
            **checkpoints.sidecar(state.plan, state.quant, metadata),
            "verified": dict(verified),
        },
        settings=run.slim.quant,
        report=run.slim.report,
        inference_yml=inference_yml(config),
        labels=labels_file(config),
        targets=run.slim.deploy.targets,
    )


def _int8_model(
    trained: paddle.nn.Layer, state: State, config: ClasConfig
) -> Optional[Callable[[], paddle.nn.Layer]]:
    if not isinstance(state, Quantized):
        return None
    fresh = state.for_int8(trained, build_untrained(config))
    return lambda: wrapped(fresh, config)
