"""From a Paddle program to a float ONNX graph that the other files of this folder can edit."""

from __future__ import annotations

import logging
import tempfile
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import onnx
import onnxruntime
import paddle2onnx

from ...common.errors import SlimError

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
        _convert(program, parameters, raw)
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


def _convert(program: Path, parameters: Path, target: Path) -> None:
    said = StringIO()
    logging.getLogger().setLevel(max(logging.getLogger().level, logging.ERROR))
    with redirect_stdout(said):
        # Its default optimizer installs packages at run time; "none" leaves the graph as it is.
        paddle2onnx.export(str(program), str(parameters), str(target), opset_version=OPSET, optimize_tool="none")
    if not target.is_file():
        last = [line for line in said.getvalue().splitlines() if line.strip()][-1:] or ["see above"]
        raise SlimError(f"paddle2onnx cannot convert this model ({last[0].strip()[:200]}): export it for paddle only")
