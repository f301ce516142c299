"""``paddle_int8``: quantized models for Paddle Inference: oneDNN on CPUs, TensorRT on NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...common.errors import SlimError
from ...compat.onednn import prepare_for_onednn
from ...compat.paddle import paddle
from ...compat.paddleclas.logger import logger
from ...quant import convert
from ...quant.record import QuantRecord
from ...report.tables import Comparison
from ...verify import int8 as int8_parity
from ...verify.accuracy import logits_of
from .. import paddle_inference
from ..job import ExportJob
from ..paddle_inference import Predictor
from ..target import Verified
from ._paddle import HOW_TO_RUN, PaddleTarget

BATCH = 8
"""Images in a batch where the scales of residual sums are measured on the exported model."""


class Options(BaseModel):
    """Options of ``paddle_int8``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(1000, ge=1, description="Compare on so many evaluation samples (Slim.quant.verify_samples).")
    threshold: float = Field(
        0.02, ge=0.0, le=1.0, description="Warn above this share of lost top-1 (Slim.quant.verify_threshold)."
    )


class PaddleInt8(PaddleTarget):
    """Int8 files of Paddle Inference."""

    Options = Options
    quantized = True
    headings = ("FP32", "int8")

    def write(self, job: ExportJob, folder: Path) -> None:
        """Write the program, the weights, and how to run them in int8.

        Raises:
            SlimError: int8 cannot express what was trained.
        """
        if job.quant is None or job.int8_model is None:
            raise SlimError("paddle_int8 exports quantized models, and this one is float: train it with Slim.quant")
        rescaled = save(job.int8_model(), job.quant, job.samples.images, job.input_shape, folder)
        if rescaled:
            logger.info(
                f"ppcls_slim: on a CPU, {len(rescaled)} linear layers compute with one scale for all columns: Paddle "
                f"{paddle.__version__} reads those of the columns wrong"
            )
        (folder / HOW_TO_RUN).write_text(_how_to(job.quant), encoding="utf-8")

    def verify(self, job: ExportJob, folder: Path, expected: np.ndarray) -> Verified:
        """Compare fake-quant with the exported model in float (the reference run) and in int8, on evaluation data.

        Raises:
            SlimError: Paddle cannot run the model in int8, or computes it wrong.
        """
        options = _options(job)
        compare = int8_parity.features if job.gives_features else int8_parity.top1_predictions
        outputs, labels = int8_parity.run_all(
            self._ways_to_run(job, folder), job.samples.images, job.evaluation(), options.samples
        )
        found = {"source": job.samples.source, **compare(outputs, labels)}
        for line in int8_parity.lines(found):
            logger.info(f"ppcls_slim: {line}")
        int8_parity.check(found, options.threshold)
        warning = int8_parity.warning(found, options.threshold)
        note = f"; {HOW_TO_RUN} beside it says how to run it fast"
        return Verified({**found, "warned": warning is not None}, _rows(job, found), note, warning)

    def _ways_to_run(self, job: ExportJob, folder: Path) -> dict[str, Callable[[np.ndarray], np.ndarray]]:
        def trained(images: np.ndarray) -> np.ndarray:
            with paddle.no_grad():
                scores: np.ndarray = logits_of(job.model(paddle.to_tensor(images))).numpy()
            return scores

        return {
            int8_parity.FAKE_QUANT: trained,
            int8_parity.REFERENCE: Predictor(folder, job.device, onednn=False),
            int8_parity.INT8: with_clear_errors(self.load(folder, job.device), job.device),
        }


def save(
    model: paddle.nn.Layer, record: QuantRecord, images: np.ndarray, input_shape: Sequence[int], folder: Path
) -> list[str]:
    """Write the program and the weights, and rewrite what oneDNN would compute wrongly in int8.

    Args:
        model: wrapped, with converted weights; it cannot be deep-copied afterwards.
        record: how it was quantized.
        images: inputs ``[n, C, H, W]``, from which the scales of residual sums are measured.
        input_shape: ``[C, H, W]``.
        folder: exists.

    Returns:
        Weights of linear layers that have one scale for all columns on a CPU.

    Raises:
        SlimError: int8 cannot express what was trained.
    """
    path = folder / paddle_inference.NAME
    convert.save(model, record, images, input_shape, path)
    return prepare_for_onednn(path, [images[start : start + BATCH] for start in range(0, len(images), BATCH)])


def _options(job: ExportJob) -> Options:
    settings = job.settings or (job.quant.settings if job.quant is not None else None)
    known: dict[str, Any] = {}
    if settings is not None:
        known = {"samples": settings.verify_samples, "threshold": settings.verify_threshold}
    return Options.model_validate({**known, **job.options})


def with_clear_errors(run: Predictor, device: str) -> Callable[[np.ndarray], np.ndarray]:
    """Make one line of what stops int8 in Paddle's C++."""

    def call(images: np.ndarray) -> np.ndarray:
        try:
            return run(images)
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1][:160]
            raise SlimError(
                f"Paddle {paddle.__version__} cannot run this model in {run.precision} on the {device} ({last}): "
                "leave layers float with Slim.quant.skip, and report it; nothing was exported"
            ) from error

    return call


def _rows(job: ExportJob, found: dict[str, Any]) -> list[Comparison]:
    """Accuracy of fake-quant and int8, and how close they are."""
    before = _percent(job.top1_dense)
    close = int8_parity.closeness(found, int8_parity.INT8)
    fake, real = (_percent(int8_parity.accuracy_of(found, way)) for way in (int8_parity.FAKE_QUANT, int8_parity.INT8))
    compared = f"of {found['samples']}, fake-quant and int8"
    if found["kind"] == int8_parity.TOP1:
        what = "top-1"
        parity = Comparison(f"equal top-1 predictions {compared}", None, 100 * close, "%")
    else:
        what, before = "recall@1", None
        parity = Comparison(f"mean cosine of features {compared}", None, close)
    return [
        Comparison(f"{what}, fake-quant", before, fake, "%"),
        Comparison(f"{what}, real int8", before, real, "%"),
        parity,
    ]


def _percent(share: Optional[float]) -> Optional[float]:
    return None if share is None else 100 * share


def _how_to(record: QuantRecord) -> str:
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


TARGET = PaddleInt8()
