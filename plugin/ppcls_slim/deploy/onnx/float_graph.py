"""From a Paddle program to a float ONNX graph that the other files of this folder can edit."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path

import onnx
import onnxruntime
import paddle2onnx

from ...common.errors import SlimError
from ...common.redirect import redirected

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
    logging.getLogger().setLevel(max(logging.getLogger().level, logging.ERROR))
    with tempfile.TemporaryFile() as said:
        failed = ""
        try:
            with redirected(said, said):
                # Its default optimizer installs packages at run time; "none" leaves the graph as it is.
                paddle2onnx.export(
                    str(program), str(parameters), str(target), opset_version=OPSET, optimize_tool="none"
                )
        except Exception as error:  # whatever its C++ raises
            failed = str(error)
        said.seek(0)
        lines = [*said.read().decode(errors="replace").splitlines(), *failed.splitlines()]
    if not target.is_file():
        last = next((line.strip() for line in reversed(lines) if line.strip()), "it does not say why")
        raise SlimError(f"paddle2onnx cannot convert this model ({last[:200]}): export it for paddle only")
