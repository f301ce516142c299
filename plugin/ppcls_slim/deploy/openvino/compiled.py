"""OpenVINO IR, compiled for the CPU, and what of it runs in int8 there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino

from ...common.errors import SlimError
from ...compat.openvino_core import core
from .write import layer_names

LAYERS = ("Convolution", "FullyConnected", "MatMul", "Deconvolution")


PRECISIONS = {"auto": "f32", "fp32": "f32", "int8": "f32", "bf16": "bf16", "int8+bf16": "bf16"}
"""Precision -> OpenVINO's hint for what is not int8; its own default is BF16 where the CPU has it."""


def has_bf16() -> bool:
    """Whether the CPU computes in BF16."""
    return "BF16" in core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")


def compiled(model: openvino.Model, threads: int, hint: str) -> openvino.CompiledModel:
    """Compile a model for the CPU.

    Args:
        model: as it was read.
        threads: CPU threads.
        hint: one of the values of :data:`PRECISIONS`.
    """
    settings = {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads}
    return core().compile_model(model, "CPU", settings)


class Compiled:
    """OpenVINO IR, compiled for the CPU.

    Args:
        path: of the ``.xml`` file.
        threads: CPU threads.
        precision: ``auto``: int8 if the model is quantized, and FP32 for the rest; ``fp32``, ``bf16``, ``int8``, or
            ``int8+bf16``: int8, and BF16 for the rest.

    Attributes:
        precision: what it runs in.
        layers: convolutions and matrix products of the compiled model.
        int8_layers: how many of them run in int8.
        float_layers: names of the others.

    Raises:
        SlimError: OpenVINO cannot read it.
    """

    def __init__(self, path: Path, threads: int, precision: str):
        hint = PRECISIONS.get(precision)
        if hint is None:
            raise SlimError(f"--precision {precision}: OpenVINO runs {', '.join(PRECISIONS)} on a CPU")
        try:
            model = core().read_model(str(path))
            self._model = compiled(model, threads, hint)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1][:160]
            raise SlimError(f"{path} cannot be read by OpenVINO {openvino.__version__}: {reason}") from error
        told = [op.get_rt_info() for op in self._model.get_runtime_model().get_ordered_ops()]
        layers = [info for info in told if info["layerType"].astype(str) in LAYERS]
        self.layers = len(layers)
        int8 = [info for info in layers if info["runtimePrecision"].astype(str) in ("u8", "i8")]
        self.int8_layers = len(int8)
        made = {name.split("/")[0] for info in int8 for name in info["originalLayersNames"].astype(str).split(",")}
        self.float_layers = [name for name in layer_names(model) if name not in made]
        found = ("int8", "int8+bf16") if self.int8_layers else ("fp32", "bf16")
        self.precision = found[hint == "bf16"]
        if precision not in ("auto", self.precision):
            raise SlimError(f"--precision {precision}: {path} runs in {' or '.join(found)}")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run on ``[n, C, H, W]``; return the first output."""
        found: np.ndarray = self._model(np.asarray(images, dtype=np.float32))[0]
        return found
