"""``paddle_int8``: quantized models for Paddle Inference: oneDNN on CPUs, TensorRT on NVIDIA GPUs."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...common.errors import SlimError
from ...compat.onednn import prepare_for_onednn
from ...compat.paddle import paddle
from ...compat.paddle_inference import LEGACY_PROGRAM
from ...compat.paddleclas.logger import logger
from ...compat.quantized_program import leave_float
from ...quant import convert
from ...quant.record import QuantRecord
from ...verify import int8 as int8_parity
from .. import paddle_inference
from ..job import ExportJob
from ..paddle_inference import Predictor
from ..parity import Int8Options, Run, int8_options, verify_int8, with_share
from ..quantized import quantized_program
from ..target import Verified
from ._paddle import HOW_TO_RUN, PaddleTarget

WEIGHTS_SUFFIX = ".pdiparams"
BATCH = 8
"""Images in a batch where the scales of residual sums are measured on the exported model."""


class PaddleInt8(PaddleTarget):
    """Int8 files of Paddle Inference."""

    Options = Int8Options
    quantized = True
    headings = ("FP32", "int8")

    def write(self, job: ExportJob, folder: Path) -> None:
        """Write the program, the weights, and how to run them in int8.

        Raises:
            SlimError: int8 cannot express what was trained.
        """
        if job.quant is None:
            raise SlimError("paddle_int8 exports quantized models, and this one is float: train it with Slim.quant")
        program = quantized_program(job)
        if job.left_float:
            leave_float(program, folder / paddle_inference.NAME, job.left_float.values())
        else:
            for suffix in (LEGACY_PROGRAM, WEIGHTS_SUFFIX):
                shutil.copyfile(program.with_suffix(suffix), (folder / paddle_inference.NAME).with_suffix(suffix))
        rescaled = _rewrite(folder, job.samples.images)
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
        engine = self.load(folder, job.device)
        ways: dict[str, Run] = {
            int8_parity.REFERENCE: Predictor(folder, job.device, onednn=False),
            int8_parity.INT8: with_clear_errors(engine, job.device),
        }
        verified = verify_int8(job, ways, int8_options(job))
        if engine.layers:
            verified = with_share(job, verified, engine)
        return replace(verified, note=f"{verified.note}; {HOW_TO_RUN} beside it says how to run it fast")


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
    convert.save(model, record, images, input_shape, folder / paddle_inference.NAME)
    return _rewrite(folder, images)


def _rewrite(folder: Path, images: np.ndarray) -> list[str]:
    batches = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
    return prepare_for_onednn(folder / paddle_inference.NAME, batches)


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
