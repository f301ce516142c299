"""Export as a whole: write aside, verify, move into place, compare with the dense model."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path
from typing import Any, Optional

import numpy as np
from ppcls.data import create_operators
from ppcls.utils import logger

from .. import checkpoint as checkpoints
from ..compat.paddle import paddle
from ..compat.reparameterization import merge_branches
from ..config.section import ReportConfig
from ..report.tables import comparison_table, summary
from ..verify import export_parity
from ..verify import int8 as int8_parity
from . import int8, runtime
from .inference_yml import write_inference_yml

INT8 = "int8"
Row = tuple[str, Optional[float], Optional[float], str]


def export_checked(engine: Any, compare: bool = True) -> list[Row]:
    """Export the engine's model to ``Global.save_inference_dir``.

    Args:
        engine: with the trained weights loaded.
        compare: also export the dense model, and time both.

    Returns:
        The rows of the table dense against pruned; empty for a dense model, and without ``compare``.

    Raises:
        SlimError: the exported model computes something else; nothing is then moved into place.
    """
    config = engine.config
    target = Path(config["Global"]["save_inference_dir"])
    target.parent.mkdir(parents=True, exist_ok=True)
    writing = Path(tempfile.mkdtemp(prefix=f".{target.name}.writing-", dir=target.parent))
    try:
        if engine.quant is not None:
            return _export_int8(engine, writing, target, compare)
        agreement = _write(engine, writing)
        logger.info(f"ppcls_slim: exported model against trained model: {agreement.line()}")
        export_parity.check(agreement)
        write_inference_yml(config, writing)
        if engine.plan is not None:
            metadata = {**checkpoints.sidecar(engine.plan, None, engine.metadata), "verified": vars(agreement)}
            text = json.dumps(metadata, indent=1)
            (writing / f"{runtime.NAME}{checkpoints.SIDECAR}").write_text(text, encoding="utf-8")
        _move(writing, target)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    logger.info(f"ppcls_slim: exported to {target}")
    return _compare(engine, target) if engine.plan is not None and compare else []


def _export_int8(engine: Any, writing: Path, target: Path, compare: bool) -> list[Row]:
    from ..engine.engine import ppcls_engine

    images, source = export_parity.samples(engine.config, ppcls_engine.build_dataloader, create_operators)
    int8.write_int8(engine, export_model, images, writing)
    sidecar = writing / f"{runtime.NAME}{checkpoints.SIDECAR}"
    sidecar.write_text(int8.sidecar_text(engine, {}), encoding="utf-8")  # what says that it runs in int8
    verified = int8.verified_outputs(engine, export_model, writing, images, source)
    write_inference_yml(engine.config, writing)
    sidecar.write_text(int8.sidecar_text(engine, verified), encoding="utf-8")
    _move(writing, target)
    logger.info(f"ppcls_slim: exported to {target}; {int8.HOW_TO_RUN} beside it says how to run it fast")
    return _compare(engine, target, verified) if compare else []


def export_model(engine: Any, model: paddle.nn.Layer) -> paddle.nn.Layer:
    """PaddleClas's ``ExportModel`` around a model: its output layer and the choice of output."""
    from ppcls.engine.engine import ExportModel

    metrics = (engine.config.get("Metric") or {}).get("Eval") or [{}]
    multilabel = engine.config["Global"].get("use_multilabel", False) and "ATTRMetric" in metrics[0]
    exported = ExportModel(engine.config["Arch"], model, multilabel)
    exported.eval()
    return exported


def _write(engine: Any, folder: Path) -> export_parity.Agreement:
    from ..engine.engine import ppcls_engine

    exported = export_model(engine, engine.model)
    images, source = export_parity.samples(engine.config, ppcls_engine.build_dataloader, create_operators)
    with paddle.no_grad():
        output = exported(paddle.to_tensor(images))
    expected = np.asarray((output[0] if isinstance(output, (list, tuple)) else output).numpy())
    merge_branches(exported)  # after the outputs were taken, so that what it computes is checked too
    runtime.save(exported, engine.config["Global"]["image_shape"], folder)
    found = runtime.Predictor(folder, _device(engine))(images)
    return export_parity.compare(expected, found, source)


def _device(engine: Any) -> str:
    return "gpu" if engine.config["Global"]["device"] == "gpu" else "cpu"


def _move(writing: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    # A program of another Paddle line left here would be found before the new one.
    for old in (".json", ".pdmodel"):
        if not (writing / f"{runtime.NAME}{old}").exists():
            (target / f"{runtime.NAME}{old}").unlink(missing_ok=True)
    for file in sorted(writing.iterdir()):
        file.replace(target / file.name)


def _compare(engine: Any, target: Path, verified: Optional[dict[str, Any]] = None) -> list[Row]:
    """Export the dense model with untrained weights and put both side by side."""
    from ..engine.engine import build_dense

    plan, shape = engine.plan, engine.config["Global"]["image_shape"]
    report = engine.slim.report or ReportConfig(latency_runs=20)
    with tempfile.TemporaryDirectory() as folder:
        dense_folder = Path(folder)
        with paddle.utils.unique_name.guard():  # some backbones name their parameters themselves
            dense = export_model(engine, build_dense(engine.config, "export", fetch_pretrained=False))
        merge_branches(dense)
        runtime.save(dense, shape, dense_folder)
        folders = (dense_folder, target)
        both = [runtime.Predictor(path, _device(engine)) for path in folders]
        timed = [
            _latency_row(both, shape, batch, report.latency_runs, _device(engine)) for batch in report.batch_sizes
        ]
        sizes = [(path / f"{runtime.NAME}.pdiparams").stat().st_size for path in folders]
    rows: list[Row] = [("file of weights", sizes[0], sizes[1], "B"), *timed]
    if plan is not None:
        rows[:0] = [
            ("FLOPs (multiply-accumulates)", plan.flops["dense"], plan.flops["pruned"], ""),
            ("parameters", plan.parameters["dense"], plan.parameters["pruned"], ""),
        ]
    if verified is not None:
        return _show_int8(engine, rows, verified)
    if "metric" in engine.metadata and engine.metadata.get("top1_dense") is not None:
        rows.insert(0, ("top-1", 100 * engine.metadata["top1_dense"], 100 * engine.metadata["metric"], "%"))
    for line in [*comparison_table("pruned", rows).splitlines(), summary(plan)]:
        logger.info(line)
    return rows


def _show_int8(engine: Any, rows: list[Row], verified: dict[str, Any]) -> list[Row]:
    """The table FP32 against int8."""
    dense = engine.metadata.get("top1_dense")
    before = None if dense is None else 100 * dense
    close = int8_parity.closeness(verified, int8_parity.INT8)
    if verified["kind"] == int8_parity.DECISIONS:
        what, agree = "top-1", ("equal decisions", 100 * close, "%")
    else:
        what, agree, before = "recall@1", ("mean cosine of features", close, ""), None
    fake, real = (
        _percent(int8_parity.accuracy_of(verified, run)) for run in (int8_parity.FAKE_QUANT, int8_parity.INT8)
    )
    shown: list[Row] = [
        (f"{what}, fake-quant", before, fake, "%"),
        (f"{what}, real int8", before, real, "%"),
        (f"{agree[0]} of {verified['samples']}, fake-quant and int8", None, *agree[1:]),
        *rows,
    ]
    for line in comparison_table(INT8, shown, "FP32").splitlines():
        logger.info(line)
    return shown


def _percent(share: Optional[float]) -> Optional[float]:
    return None if share is None else 100 * share


def _latency_row(both: list[runtime.Predictor], shape: list[int], batch: int, times: int, device: str) -> Row:
    images = np.random.default_rng(0).standard_normal([batch, *shape]).astype(np.float32)
    dense, pruned = runtime.latencies([lambda run=run: run(images) for run in both], times)
    return (f"latency, batch {batch}, {'GPU' if device == 'gpu' else 'one thread, oneDNN'}", dense, pruned, "ms")


__all__ = ["export_checked", "export_model"]
