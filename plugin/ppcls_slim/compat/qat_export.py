"""Export a model that PaddleSlim's QAT quantized, as legacy IR."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from .legacy_ops import traced_into_legacy_ir
from .legacy_program import legacy_ir
from .onednn import export_patches
from .paddle import paddle
from .paddle.faults import array_to_float, slow_graph_links


def save_quantized(quantizer: Any, model: paddle.nn.Layer, path: Path, spec: paddle.static.InputSpec) -> None:
    """Call ``save_quantized_model`` without leaving anything behind: no variables, no static mode.

    Args:
        quantizer: from :func:`.qat_layers.load_qat`.
        model: quantized, in evaluation mode; it cannot be deep-copied afterwards.
        path: without suffix.
        spec: of the input.

    Raises:
        SlimError: the model calls a function that cannot be written, see :func:`traced_into_legacy_ir`.
    """
    try:
        with (
            paddle.static.scope_guard(paddle.static.Scope()),
            array_to_float.patched(),
            slow_graph_links.patched(),
            export_patches(model),  # outside the guards for legacy IR, see there
            legacy_ir(),
            traced_into_legacy_ir(),
        ):
            quantizer.save_quantized_model(model, str(path), input_spec=[spec])
    finally:
        paddle.disable_static()
