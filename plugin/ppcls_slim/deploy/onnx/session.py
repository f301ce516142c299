"""An ONNX file in ONNX Runtime, and what of it runs in int8 there."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime

from ...common.errors import SlimError
from .graph import LAYERS
from .metadata import FP16, PRECISION

NOT_ASKED_FOR = ["WeightBiasQuantization"]
"""Quantizes layers between int8 ones, too; ``Slim.quant.skip`` left them float on purpose."""
INT8_OPS = ("QLinearConv", "ConvInteger", "QLinearMatMul", "QGemm", "MatMulInteger", "MatMulIntegerToFloat")
FLOAT_OPS = ("Conv", "FusedConv", "NhwcFusedConv", "MatMul", "FusedMatMul", "Gemm", "FusedGemm", "ConvTranspose")


class Session:
    """An ONNX file, loaded.

    Args:
        path: of the file.
        device: ``cpu`` or ``gpu``.
        threads: CPU threads.

    Attributes:
        precision: ``int8`` where layers run in int8, else that of the file: ``fp32`` or ``fp16``.
        layers: how many convolutions and matrix products there are.
        int8_layers: how many of them run in int8.
        float_layers: names of the others.

    Raises:
        SlimError: ONNX Runtime cannot read the file, or has no such device.
    """

    def __init__(self, path: Path, device: str = "cpu", threads: int = 1):
        provider = _provider(device)
        with tempfile.TemporaryDirectory() as scratch:
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = threads
            options.log_severity_level = 3
            options.optimized_model_filepath = f"{scratch}/optimized.onnx"
            try:
                self._session = onnxruntime.InferenceSession(
                    str(path), options, providers=[provider], disabled_optimizers=NOT_ASKED_FOR
                )
            except Exception as error:  # whatever its C++ raises
                reason = str(error).strip().splitlines()[0][:160]
                raise SlimError(
                    f"{path} cannot be read by ONNX Runtime {onnxruntime.__version__}: {reason}"
                ) from error
            optimized = onnx.load(options.optimized_model_filepath, load_external_data=False)
        if provider not in self._session.get_providers():  # ONNX Runtime only logs what it could not load
            raise SlimError(
                f"--device {device}: ONNX Runtime cannot use a GPU here; look at nvidia-smi, "
                "and install the CUDA and cuDNN that onnxruntime-gpu names"
            )
        int8 = [node.name for node in optimized.graph.node if node.op_type in INT8_OPS]
        self.int8_layers = len(int8)
        self.layers = len(int8) + sum(node.op_type in FLOAT_OPS for node in optimized.graph.node)
        self.float_layers = _without(_layer_names(path), int8)
        told = self._session.get_modelmeta().custom_metadata_map
        self.precision = "int8" if self.int8_layers else FP16 if told.get(PRECISION) == FP16 else "fp32"
        self._input = self._session.get_inputs()[0].name

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run on ``[n, C, H, W]``; return the first output."""
        found: np.ndarray = self._session.run(None, {self._input: np.asarray(images, dtype=np.float32)})[0]
        return found


def _provider(device: str) -> str:
    """Name of what runs a model on a device.

    Raises:
        SlimError: this ONNX Runtime has none for it.
    """
    provider = {"cpu": "CPUExecutionProvider", "gpu": "CUDAExecutionProvider"}[device]
    if provider not in onnxruntime.get_available_providers():
        raise SlimError(f"--device {device}: this ONNX Runtime has no {provider}; install onnxruntime-gpu")
    if device == "gpu":
        onnxruntime.preload_dlls()  # CUDA and cuDNN, where they were installed as wheels
    return provider


def _layer_names(path: Path) -> list[str]:
    nodes = onnx.load(str(path), load_external_data=False).graph.node
    return [node.name for node in nodes if node.op_type in LAYERS]


def _without(layers: Sequence[str], int8: Sequence[str]) -> list[str]:
    """Layers that no node is made of; ONNX Runtime names those of ``fc`` ``fc_token_6`` or ``fc/MatMulAddFusion``."""
    made = {re.sub(r"(_token_\d+|/\w+)+$", "", name) for name in int8}
    return [name for name in layers if name not in made]
