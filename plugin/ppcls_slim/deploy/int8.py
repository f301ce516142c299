"""Export of a quantized model: int8 files, and what they compute against what the trained model computes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ppcls.utils import logger

from .. import checkpoint as checkpoints
from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..prune.pruner import prune
from ..quant import convert, prepare
from ..verify import export_parity
from ..verify import int8 as int8_parity
from ..verify.accuracy import logits_of
from . import runtime

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
    from ..engine.engine import build_dense

    record = engine.quant
    with paddle.utils.unique_name.guard():
        fresh = build_dense(engine.config, "export", fetch_pretrained=False)
        if engine.plan is not None:
            prune(fresh, engine.plan)
        prepare.rebuild(fresh, record, for_export=True)
    convert.convert_weights(engine.model, fresh, record)
    shape = engine.config["Global"]["image_shape"]
    rescaled = convert.save(wrap(engine, fresh), record, images, shape, folder / runtime.NAME)
    if rescaled:
        logger.info(
            f"ppcls_slim: on a CPU, {len(rescaled)} linear layers compute with one scale for all columns: Paddle "
            f"{paddle.__version__} reads those of the columns wrong"
        )
    (folder / HOW_TO_RUN).write_text(_how_to(record), encoding="utf-8")


def verified_outputs(
    engine: Any, wrap: Callable[..., Any], folder: Path, images: np.ndarray, source: str
) -> dict[str, Any]:
    """Compare fake-quant, the exported model run plainly, and run in int8, on evaluation samples.

    Args:
        engine: with ``quant`` set; its model is wrapped, so nothing else can be exported from it afterwards.
        wrap: ``export_model`` of the pipeline.
        folder: what :func:`write_int8` wrote into.
        images: samples ``[n, C, H, W]``, where there is no evaluation data.
        source: where they came from.

    Returns:
        ``samples``, ``source``, ``warned``, ``kind`` (``decisions`` or ``features``) and ``runs``: per way of
        running what :func:`.int8_parity.decisions` or :func:`.int8_parity.features` says.
    """
    from ..engine.engine import ppcls_engine

    settings = engine.slim.quant or engine.quant.settings  # how much to check is this run's matter
    loader = export_parity.evaluation_loader(engine.config, ppcls_engine.build_dataloader)
    batches = loader if loader is not None else [(images, None)]
    device = "gpu" if engine.config["Global"]["device"] == "gpu" else "cpu"
    trained = wrap(engine, engine.model)
    runs: dict[str, Callable[[Any], np.ndarray]] = {
        int8_parity.FAKE_QUANT: lambda x: _computed(trained, x),
        int8_parity.PLAIN: runtime.Predictor(folder, device, onednn=False),
        int8_parity.INT8: _with_clear_errors(runtime.Predictor(folder, device), device),
    }
    outputs: dict[str, list[np.ndarray]] = {name: [] for name in runs}
    labels: list[np.ndarray] = []
    seen = 0
    for batch in batches:
        pixels = np.asarray(batch[0], dtype=np.float32)
        for name, run in runs.items():
            outputs[name].append(np.asarray(run(pixels)).reshape(len(pixels), -1))
        if loader is not None:
            labels.append(np.asarray(batch[1]).reshape(len(pixels), -1))
        seen += len(pixels)
        if seen >= settings.verify_samples:
            break
    truth = np.concatenate(labels) if labels else None
    truth = truth[:, 0] if truth is not None and truth.shape[1] == 1 else None  # several labels: no top-1
    compare = int8_parity.features if gives_features(engine.config) else int8_parity.decisions
    found = {"source": source, **compare({k: np.concatenate(v) for k, v in outputs.items()}, truth)}
    for line in int8_parity.lines(found):
        logger.info(f"ppcls_slim: {line}")
    warning = int8_parity.warning(found, settings.verify_threshold)
    if warning is not None:
        logger.warning(f"ppcls_slim: {warning}")
    return {**found, "warned": warning is not None}


def _with_clear_errors(run: runtime.Predictor, device: str) -> Callable[[Any], np.ndarray]:
    """Make one line of what stops int8 in Paddle's C++."""

    def call(pixels: Any) -> np.ndarray:
        try:
            return run(pixels)
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1][:160]
            raise SlimError(
                f"Paddle {paddle.__version__} cannot run this model in {run.precision} on the {device} ({last}): "
                "leave layers float with Slim.quant.skip, and report it; nothing was exported"
            ) from error

    return call


def gives_features(config: Any) -> bool:
    """Whether the exported model gives an embedding, which has no largest class."""
    return config["Arch"].get("infer_output_key") == "features" or config["Global"].get("eval_mode") == "retrieval"


def _computed(model: paddle.nn.Layer, pixels: np.ndarray) -> np.ndarray:
    with paddle.no_grad():
        return logits_of(model(paddle.to_tensor(pixels))).numpy()


def sidecar_text(engine: Any, verified: dict[str, Any]) -> str:
    """The sidecar file of the exported model."""
    metadata = checkpoints.sidecar(engine.plan, engine.quant, engine.metadata)
    return json.dumps({**metadata, "verified": verified}, indent=1)


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
