"""Write an ONNX graph as OpenVINO IR."""

from __future__ import annotations

from pathlib import Path

import onnx
import openvino

from ...compat.openvino_core import core
from ..onnx.graph import LAYERS

PLACE = ["ppcls_slim", "layers"]
"""Where IR keeps the names of convolutions and matrix products; converting renames some."""


def write_ir(graph: Path, path: Path) -> None:
    """Convert an ONNX file to ``path`` (``.xml``) and the ``.bin`` beside it; weights keep their precision."""
    # Not openvino.convert_model: it sends telemetry from a forked process, which can hang for good.
    model = core().read_model(str(graph))
    nodes = onnx.load(str(graph), load_external_data=False).graph.node
    model.set_rt_info(",".join(node.name for node in nodes if node.op_type in LAYERS), PLACE)
    openvino.save_model(model, str(path), compress_to_fp16=False)


def layer_names(model: openvino.Model) -> list[str]:
    """Names of convolutions and matrix products of IR that :func:`write_ir` wrote; empty for other IR."""
    return str(model.get_rt_info(PLACE).astype(str)).split(",") if model.has_rt_info(PLACE) else []
