"""Files of Paddle Inference: written, found, and run with the switches that make them fast."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import SIDECAR
from ..common.errors import SlimError
from ..compat.onednn import export_patches, prepare_float_for_onednn
from ..compat.optimized_program import OptimizedOp, optimized_layers
from ..compat.paddle import gpu_available, paddle
from ..compat.paddle_inference import (
    LEGACY_PROGRAM,
    PIR_PROGRAM,
    create_predictor,
    has_tensorrt,
    reads_pir,
    use_cpu,
    use_gpu,
)

NAME = "inference"
PROGRAMS = (f"{NAME}{PIR_PROGRAM}", f"{NAME}{LEGACY_PROGRAM}")
WEIGHTS = f"{NAME}.pdiparams"


def save(model: paddle.nn.Layer, input_shape: Sequence[int], folder: Path) -> None:
    """Write ``inference.json`` (Paddle 3) or ``inference.pdmodel`` (2.6), and ``inference.pdiparams``.

    Args:
        model: in evaluation mode; takes ``[n, C, H, W]`` float32.
        input_shape: ``[C, H, W]``.
        folder: exists.
    """
    spec = paddle.static.InputSpec(shape=[None, *input_shape], dtype="float32", name="x")
    with export_patches(model):
        paddle.jit.save(paddle.jit.to_static(model, input_spec=[spec], full_graph=True), str(folder / NAME))
    if (folder / f"{NAME}{LEGACY_PROGRAM}").is_file():
        try:
            prepare_float_for_onednn(folder / NAME)
        except RuntimeError:  # Paddle cuts files off without an error where the disk is full
            raise SlimError(
                f"{WEIGHTS} cannot be read back after it was written: free space on the disk, or write elsewhere"
            ) from None


def files_of(folder: Path) -> tuple[Path, Path]:
    """Return the program and the parameters in a folder.

    Raises:
        SlimError: there is no exported model, or this Paddle cannot read it.
    """
    if not folder.is_dir():
        raise SlimError(f"there is no folder {folder}; give one that ppcls-slim export wrote")
    parameters = folder / WEIGHTS
    programs = [folder / name for name in PROGRAMS]
    program = next((p for p in programs if p.is_file()), None)
    if program is None or not parameters.is_file():
        missing = parameters if program else programs[0]
        raise SlimError(f"{folder} holds no exported model ({missing.name} is missing)")
    if program.suffix == PIR_PROGRAM and not reads_pir():
        raise SlimError(
            f"{program} was exported by Paddle 3, which Paddle {paddle.__version__} cannot read: export again"
        )
    return program, parameters


def is_quantized(folder: Path) -> bool:
    """Whether the sidecar file of an exported model says that it is quantized."""
    return bool(read_sidecar(folder).get("quant"))


def write_sidecar(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the sidecar file of an exported model."""
    (folder / f"{NAME}{SIDECAR}").write_text(json.dumps(content, indent=1), encoding="utf-8")


def read_sidecar(folder: Path) -> dict[str, Any]:
    """Content of the sidecar file of an exported model; empty for a dense one, which has none.

    Raises:
        SlimError: it is damaged.
    """
    sidecar = folder / f"{NAME}{SIDECAR}"
    if not sidecar.is_file():
        return {}
    try:
        return dict(json.loads(sidecar.read_bytes()))
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise SlimError(f"{sidecar} cannot be read ({error}): export again") from None


class Predictor:
    """An exported model, ready to run.

    Args:
        folder: what :func:`save` wrote into.
        device: ``cpu`` (oneDNN) or ``gpu``.
        threads: CPU threads.
        precision: ``auto``: ``int8`` if the sidecar file beside the model says that it is quantized and the device
            can (a GPU needs TensorRT), else ``fp32``; ``bf16`` on a CPU, ``fp16`` on a GPU.
        onednn: False gives the reference run: the program as it is written, in Paddle's own kernels, slowly.

    Attributes:
        precision: what it runs in.

    Raises:
        SlimError: see :func:`files_of`; there is no GPU; the device does not run this precision; or this Paddle
            cannot read the files.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "cpu",
        threads: int = 1,
        precision: str = "auto",
        onednn: bool = True,
    ):
        program, parameters = files_of(folder)
        self.precision = _precision(folder, device, precision)
        self._files = program, parameters
        self._tells_layers = self.precision == "int8" and device == "cpu" and onednn
        config = paddle.inference.Config(str(program), str(parameters))
        if device == "gpu":
            _check_gpu(folder, self.precision)
            use_gpu(config, self.precision)
        else:
            use_cpu(config, program, threads, self.precision, onednn)
        self._predictor = _create(config, program)
        self._input = self._predictor.get_input_handle(self._predictor.get_input_names()[0])
        self._output = self._predictor.get_output_handle(self._predictor.get_output_names()[0])

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run on ``[n, C, H, W]``; return the first output."""
        self._input.copy_from_cpu(np.ascontiguousarray(np.asarray(images), dtype=np.float32))
        self._predictor.run()
        output: np.ndarray = self._output.copy_to_cpu()
        return output

    @property
    def layers(self) -> int:
        """Convolutions and matrix products that oneDNN runs; 0 where it is not known: not in int8 on a CPU."""
        return len(self._optimized)

    @property
    def int8_layers(self) -> int:
        """Those of :attr:`layers` that run in int8."""
        return sum(layer.int8 for layer in self._optimized)

    @property
    def float_layers(self) -> list[str]:
        """Those that do not: the names of their weights, or of the output of a product of two feature maps."""
        return [layer.name for layer in self._optimized if not layer.int8]

    @cached_property
    def _optimized(self) -> list[OptimizedOp]:
        """Takes as long as loading: who only runs the model does not pay for it."""
        return optimized_layers(*self._files) if self._tells_layers else []


def _precision(folder: Path, device: str, asked: str) -> str:
    """Return what a model runs in, and refuse what the device or the model cannot do."""
    quantized = is_quantized(folder)
    if asked == "auto":
        return "int8" if quantized and (device == "cpu" or has_tensorrt()) else "fp32"
    only_on = {"bf16": "cpu", "fp16": "gpu"}.get(asked, device)
    if only_on != device:
        raise SlimError(f"--precision {asked} is for --device {only_on}")
    if asked == "int8" and not quantized:
        raise SlimError(f"--precision int8: {folder} is not quantized; train it with Slim.quant, or leave it out")
    return asked


def _check_gpu(folder: Path, precision: str) -> None:
    if not gpu_available():
        raise SlimError("there is no GPU that this Paddle can use: leave --device out, or give cpu")
    if precision == "int8" and not has_tensorrt():
        raise SlimError(f"{folder} is quantized, and this Paddle has no TensorRT to run int8 on a GPU: give cpu")


def _create(config: Any, program: Path) -> Any:
    try:
        return create_predictor(config, program)
    except Exception as error:  # Paddle raises whatever its C++ does
        raise SlimError(
            f"{program} cannot be read by Paddle {paddle.__version__} ({type(error).__name__}): it is damaged, "
            "or another Paddle wrote it; export it with the Paddle that is to run it"
        ) from error
