"""A float ONNX file in FP16, for GPUs."""

from __future__ import annotations

from pathlib import Path

import onnx
from onnxruntime.transformers.float16 import convert_float_to_float16
from onnxruntime.transformers.onnx_model import OnnxModel

from .metadata import FP16, PRECISION


def write_fp16(float_file: Path, path: Path) -> None:
    """Convert a float file with ONNX Runtime's converter; inputs and outputs stay float32.

    Args:
        float_file: what ``write_onnx`` wrote of a float model.
        path: of the new file.
    """
    model = convert_float_to_float16(onnx.load(str(float_file)), keep_io_types=True)
    OnnxModel(model).topological_sort()  # the converter puts its casts last
    told = {one.key: one.value for one in model.metadata_props}
    onnx.helper.set_model_props(model, {**told, PRECISION: FP16})
    onnx.checker.check_model(model)
    onnx.save(model, str(path))
