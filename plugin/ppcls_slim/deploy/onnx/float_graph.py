"""From a Paddle program to a float ONNX graph that the other files of this folder can edit."""

from __future__ import annotations

import tempfile
from pathlib import Path

import onnx
import onnxruntime

from ...common.errors import SlimError
from ...compat.onnx_conversion import to_onnx
from .explicit_pads import write_pads

OPSET = 17
KEPT_APART = [
    "ConvBNFusion", "ConvMulFusion", "ConvAddFusion", "MatMulAddFusion", "MatMulBNFusion", "ReluClipFusion",
]  # fmt: skip
"""Fusions of ONNX Runtime that would rename weights, by which quantized layers are found."""


def float_graph(program: Path, parameters: Path, model_name: str) -> onnx.ModelProto:
    """Convert a float program with ``paddle2onnx``, and compute what is constant with ONNX Runtime.

    The result is kept beside the program, and converted once for all that ask for it.

    Args:
        program: ``.json`` or ``.pdmodel``.
        parameters: ``.pdiparams``.
        model_name: for the message where it cannot be converted.

    Returns:
        The model, for batches of any size; weights have the names of Paddle's parameters.

    Raises:
        SlimError: an operator cannot be converted, or the converter crashed.
    """
    kept = program.with_suffix(".onnx")
    if not kept.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            raw = Path(scratch) / "raw.onnx"
            reason = to_onnx(program, parameters, raw, OPSET)
            if not raw.is_file():
                raise SlimError(
                    f"paddle2onnx cannot convert {model_name} ({reason[:200]}): leave onnx and openvino out of "
                    "Slim.deploy.targets"
                )
            _fold(raw, kept)
    return onnx.load(str(kept))


def _fold(raw: Path, folded: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(folded)
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    onnxruntime.InferenceSession(str(raw), options, providers=providers, disabled_optimizers=KEPT_APART)
    model = onnx.load(str(folded))
    write_pads(model)
    used = {node.domain for node in model.graph.node}
    for opset in [one for one in model.opset_import if one.domain and one.domain not in used]:
        model.opset_import.remove(opset)  # ONNX Runtime declares its own domains
    onnx.save(model, str(folded))
