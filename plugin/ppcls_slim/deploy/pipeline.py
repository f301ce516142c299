"""The export of an engine, until the engine makes its own :class:`ExportJob`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

from .. import checkpoint as checkpoints
from ..compat.paddle import paddle
from ..prune.pruner import prune
from ..quant import convert, prepare
from ..report.tables import Comparison
from ..verify.samples import evaluation_data, samples
from .export import export
from .inference_yml import inference_yml, labels_file
from .job import ExportJob


def export_checked(engine: Any, compare: bool = True) -> list[Comparison]:
    """Export the engine's model to ``Global.save_inference_dir``; see :func:`.export.export`."""
    return export(job_of(engine), compare)


def job_of(engine: Any) -> ExportJob:
    """What is to be exported of an engine with the trained weights loaded."""
    from ..engine.engine import build_dense

    config, metadata = engine.config, engine.metadata

    def dense_model() -> paddle.nn.Layer:
        with paddle.utils.unique_name.guard():  # some backbones name their parameters themselves
            return export_model(engine, build_dense(config, "export", fetch_pretrained=False))

    def converted() -> paddle.nn.Layer:
        with paddle.utils.unique_name.guard():
            fresh = build_dense(config, "export", fetch_pretrained=False)
            if engine.plan is not None:
                prune(fresh, engine.plan)
            prepare.rebuild(fresh, engine.quant, for_export=True)
        convert.convert_weights(engine.model, fresh, engine.quant)
        return fresh

    def sidecar(verified: Mapping[str, Any]) -> dict[str, Any]:
        return {**checkpoints.sidecar(engine.plan, engine.quant, metadata), "verified": dict(verified)}

    fresh = converted() if engine.quant is not None else None  # before ExportModel takes the head off
    return ExportJob(
        folder=Path(config["Global"]["save_inference_dir"]),
        model=export_model(engine, engine.model),
        int8_model=None if fresh is None else lambda: export_model(engine, fresh),
        dense_model=dense_model,
        input_shape=tuple(config["Global"]["image_shape"]),
        device="gpu" if config["Global"]["device"] == "gpu" else "cpu",
        samples=samples(config),
        evaluation=lambda: evaluation_data(config),
        gives_features=gives_features(config),
        plan=engine.plan,
        quant=engine.quant,
        top1_dense=metadata.get("top1_dense"),
        metric=metadata.get("metric"),
        sidecar=sidecar,
        settings=engine.slim.quant,
        report=engine.slim.report,
        inference_yml=inference_yml(config),
        labels=labels_file(config),
    )


def gives_features(config: Any) -> bool:
    """Whether the exported model gives an embedding, which has no largest class."""
    return config["Arch"].get("infer_output_key") == "features" or config["Global"].get("eval_mode") == "retrieval"


def export_model(engine: Any, model: paddle.nn.Layer) -> paddle.nn.Layer:
    """PaddleClas's ``ExportModel`` around a model: its output layer and the choice of output."""
    from ppcls.engine.engine import ExportModel

    metrics: Optional[list[Any]] = (engine.config.get("Metric") or {}).get("Eval") or [{}]
    multilabel = engine.config["Global"].get("use_multilabel", False) and "ATTRMetric" in metrics[0]
    exported = ExportModel(engine.config["Arch"], model, multilabel)
    exported.eval()
    return exported
