"""OpenVINO IR, compiled for the CPU, and what of it runs in int8 there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import openvino

from ...common.errors import SlimError

LAYERS = ("Convolution", "FullyConnected", "MatMul", "Deconvolution")


class Compiled:
    """OpenVINO IR, compiled for the CPU.

    Args:
        path: of the ``.xml`` file.
        threads: CPU threads.
        precision: ``auto``: FP32 for what is not int8; ``bf16`` where the CPU has it.

    Attributes:
        precision: what it runs in.
        layers: convolutions and matrix products of the compiled model.
        int8_layers: those of them that run in int8.

    Raises:
        SlimError: OpenVINO cannot read it.
    """

    def __init__(self, path: Path, threads: int, precision: str):
        core = openvino.Core()
        hint = {"bf16": "bf16"}.get(precision, "f32")  # OpenVINO's own default is BF16 where the CPU has it
        try:
            self._model = core.compile_model(
                core.read_model(str(path)),
                "CPU",
                {"INFERENCE_PRECISION_HINT": hint, "INFERENCE_NUM_THREADS": threads},
            )
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1][:160]
            raise SlimError(f"{path} cannot be read by OpenVINO {openvino.__version__}: {reason}") from error
        kinds = [
            info["runtimePrecision"].astype(str)
            for info in (op.get_rt_info() for op in self._model.get_runtime_model().get_ordered_ops())
            if info["layerType"].astype(str) in LAYERS
        ]
        self.layers = len(kinds)
        self.int8_layers = sum(kind in ("u8", "i8") for kind in kinds)
        self.precision = "int8" if self.int8_layers else {"bf16": "bf16"}.get(precision, "fp32")

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run on ``[n, C, H, W]``; return the first output."""
        found: np.ndarray = self._model(np.asarray(images, dtype=np.float32))[0]
        return found
