"""Write an ONNX graph as OpenVINO IR."""

from __future__ import annotations

from pathlib import Path

import openvino


def write_ir(graph: Path, path: Path) -> None:
    """Convert an ONNX file to ``path`` (``.xml``) and the ``.bin`` beside it; weights keep their precision."""
    openvino.save_model(openvino.convert_model(str(graph)), str(path), compress_to_fp16=False)
