"""The quantized program as training left it, which every target for int8 starts from."""

from __future__ import annotations

from pathlib import Path

from ..common.errors import SlimError
from ..compat.paddle_inference import LEGACY_PROGRAM
from ..quant import convert
from . import paddle_inference
from .job import ExportJob


def quantized_program(job: ExportJob) -> Path:
    """Write it to the job's scratch folder, once for all targets; return the path without suffix.

    Raises:
        SlimError: the model is float, or int8 cannot express what was trained.
    """
    if job.quant is None or job.int8_model is None:
        raise SlimError("int8 targets export quantized models, and this one is float: train it with Slim.quant")
    path = job.scratch / paddle_inference.NAME
    if not path.with_suffix(LEGACY_PROGRAM).is_file():
        convert.save(job.int8_model(), job.quant, job.samples.images, job.input_shape, path)
    return path
