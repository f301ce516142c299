"""From a Paddle program to a float ONNX graph that the other files of this folder can edit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnxruntime

from ...common.errors import SlimError
from ...compat.onnx_conversion import to_onnx

OPSET = 17
KEPT_APART = [
    "ConvBNFusion", "ConvMulFusion", "ConvAddFusion", "MatMulAddFusion", "MatMulBNFusion", "ReluClipFusion",
]  # fmt: skip
"""Fusions of ONNX Runtime that would rename weights, by which quantized layers are found."""


def float_graph(program: Path, parameters: Path) -> onnx.ModelProto:
    """Convert a float program with ``paddle2onnx``, and compute what is constant with ONNX Runtime.

    Args:
        program: ``.json`` or ``.pdmodel``.
        parameters: ``.pdiparams``.

    Returns:
        The model, for batches of any size; weights have the names of Paddle's parameters.

    Raises:
        SlimError: an operator cannot be converted.
    """
    with tempfile.TemporaryDirectory() as scratch:
        raw, folded = Path(scratch) / "raw.onnx", Path(scratch) / "folded.onnx"
        said = to_onnx(program, parameters, raw, OPSET)
        if not raw.is_file():
            reason = said[:200] or "it does not say why"
            raise SlimError(f"paddle2onnx cannot convert this model ({reason}): export it for paddle only")
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        onnxruntime.InferenceSession(str(raw), options, providers=providers, disabled_optimizers=KEPT_APART)
        model = onnx.load(str(folded))
    used = {node.domain for node in model.graph.node}
    for opset in [one for one in model.opset_import if one.domain and one.domain not in used]:
        model.opset_import.remove(opset)  # ONNX Runtime declares its own domains
    return model
