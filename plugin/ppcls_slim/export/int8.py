"""Export of a quantized model: int8 files, and what they decide against what the trained model decides."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ppcls.utils import logger

from .. import checkpoint as checkpoints
from ..evaluate import logits_of
from ..prune.pruner import prune
from ..quant import deploy, flow
from ..upstream.paddle_lines import paddle
from . import inference, verify

HOW_TO_RUN = "HOW_TO_RUN_FAST.txt"


def write_int8(engine: Any, wrap: Callable[..., Any], images: np.ndarray, folder: Path) -> None:
    """Write the int8 model of an engine.

    Args:
        engine: with ``quant`` set and the trained weights loaded.
        wrap: ``export_model`` of the pipeline.
        images: samples ``[n, C, H, W]``.
        folder: exists.

    Raises:
        SlimError: int8 cannot express what was trained.
    """
    from ..engine import build_dense

    record = engine.quant
    with paddle.utils.unique_name.guard():
        fresh = build_dense(engine.config, "export", fetch_pretrained=False)
        if engine.plan is not None:
            prune(fresh, engine.plan)
        flow.rebuild(fresh, record, for_export=True)
    deploy.transfer(engine.model, fresh, record)
    shape = engine.config["Global"]["image_shape"]
    deploy.save(wrap(engine, fresh), record, images, shape, folder / inference.NAME)
    (folder / HOW_TO_RUN).write_text(_how_to(record), encoding="utf-8")


def check_decisions(engine: Any, folder: Path, images: np.ndarray, source: str) -> dict[str, Any]:
    """Compare fake-quant, the exported model run plainly, and run in int8, on evaluation samples.

    Returns:
        ``samples``, ``source``, and per way of running ``top1`` (None without labels) and ``same_as_fake_quant``.
    """
    from ..engine import ppcls_engine

    settings = engine.quant.settings
    loader = verify.evaluation_loader(engine.config, ppcls_engine.build_dataloader)
    batches = loader if loader is not None else [(images, None)]
    engine.model.eval()
    device = "gpu" if engine.config["Global"]["device"] == "gpu" else "cpu"
    runs: dict[str, Callable[[Any], np.ndarray]] = {
        "fake-quant": lambda x: _fake_quant(engine.model, x),
        "exported, plain": inference.Predictor(folder, device, onednn=False),
        "exported, int8": inference.Predictor(folder, device, precision="int8"),
    }
    decisions: dict[str, list[np.ndarray]] = {name: [] for name in runs}
    labels: list[np.ndarray] = []
    for batch in batches:
        pixels = np.asarray(batch[0], dtype=np.float32)
        for name, run in runs.items():
            decisions[name].append(np.asarray(run(pixels)).reshape(len(pixels), -1).argmax(1))
        if loader is not None:
            labels.append(np.asarray(batch[1]).reshape(len(pixels), -1)[:, 0])
        if sum(map(len, decisions["fake-quant"])) >= settings.verify_samples:
            break
    return _judge({k: np.concatenate(v) for k, v in decisions.items()}, labels, source, settings.verify_threshold)


def _judge(
    decisions: dict[str, np.ndarray], labels: list[np.ndarray], source: str, threshold: float
) -> dict[str, Any]:
    reference = decisions["fake-quant"]
    truth = np.concatenate(labels) if labels else None
    found: dict[str, Any] = {"samples": len(reference), "source": source, "runs": {}}
    for name, chosen in decisions.items():
        top1 = float((chosen == truth).mean()) if truth is not None else None
        same = float((chosen == reference).mean())
        found["runs"][name] = {"top1": top1, "same_as_fake_quant": same}
        accuracy = "" if top1 is None else f"top-1 {100 * top1:.2f} %, "
        logger.info(f"ppcls_slim: {name}: {accuracy}{100 * same:.2f} % of decisions as fake-quant")
    int8, fake = found["runs"]["exported, int8"], found["runs"]["fake-quant"]
    lost = 0.0 if fake["top1"] is None else fake["top1"] - int8["top1"]
    found["warned"] = bool(lost > threshold or 1 - int8["same_as_fake_quant"] > threshold)
    if found["warned"]:
        logger.warning(
            f"ppcls_slim: int8 parts from fake-quant by more than Slim.quant.verify_threshold ({threshold}): "
            f"{100 * lost:.2f} % of top-1 lost, {100 * (1 - int8['same_as_fake_quant']):.2f} % other decisions, on "
            f"{len(reference)} samples ({source})"
        )
    return found


def _fake_quant(model: paddle.nn.Layer, pixels: np.ndarray) -> np.ndarray:
    with paddle.no_grad():
        return logits_of(model(paddle.to_tensor(pixels))).numpy()


def sidecar_text(engine: Any, verified: dict[str, Any]) -> str:
    """The sidecar file of the exported model."""
    facts = checkpoints.sidecar(engine.plan, engine.quant, engine.facts)
    return json.dumps({**facts, "verified": verified}, indent=1)


def _how_to(record: Any) -> str:
    stored = "int8" if record.settings.onnx_format else "float32 on the int8 grid (onnx_format: false)"
    return f"""This is a quantized model: {record.summary()}.
Weights are stored as {stored}.

It is fast only when it is told to run in int8. Without the switches below it computes in float with extra
quantization steps, several times slower than the float model.

CPU with VNNI (oneDNN), Paddle Inference:
    config.enable_mkldnn()
    config.enable_mkldnn_int8()        # the one that people forget
    config.set_mkldnn_cache_capacity(10)
tools/predict.py does just that.

NVIDIA GPU with TensorRT, Paddle Inference built with it:
    config.enable_use_gpu(256, 0)
    config.enable_tensorrt_engine(1 << 30, max_batch_size=1, min_subgraph_size=3,
                                  precision_mode=paddle.inference.PrecisionType.Int8,
                                  use_static=False, use_calib_mode=False)
"""
