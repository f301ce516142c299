"""``openvino``: OpenVINO IR files for CPUs: int8 for quantized models, else FP32 or, by a hint, BF16."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...common.errors import SlimError
from ..job import ExportJob
from ..optional import needs
from ..paddle_inference import is_quantized
from ..parity import Int8Options, verify_layers
from ..target import Verified

if TYPE_CHECKING:
    from ..openvino.compiled import Compiled

NAME = "openvino"
MODEL, WEIGHTS = "inference.xml", "inference.bin"


class OpenVino:
    """OpenVINO IR files."""

    Options = Int8Options
    engine = "OpenVINO"
    baseline = NAME
    headings = ("dense FP32", "exported")
    weights = WEIGHTS
    may_write: Sequence[str] = (MODEL, WEIGHTS)

    def write(self, job: ExportJob, folder: Path) -> None:
        """Write the IR of the ONNX graph.

        Raises:
            SlimError: a package is missing, an operator cannot be converted, or int8 cannot express the model.
        """
        with needs(NAME):
            # Packages of an extra, which take a while to import.
            from ..onnx.write import write_onnx
            from ..openvino.write import write_ir
        graph = folder / "graph.onnx"
        write_onnx(job, graph, "openvino")
        write_ir(graph, folder / MODEL)
        graph.unlink()

    def recognizes(self, folder: Path) -> bool:
        """Whether a folder holds IR."""
        return (folder / MODEL).is_file()

    def precisions(self, folder: Path, device: str = "cpu") -> Sequence[str]:
        """FP32 or int8, as the files are; also with BF16 for what is not int8, where the CPU has it."""
        with needs(NAME):
            # Packages of an extra, which take a while to import.
            from ..openvino.compiled import has_bf16
        if is_quantized(folder):
            return ("int8", "int8+bf16") if has_bf16() else ("int8",)
        return ("fp32", "bf16") if has_bf16() else ("fp32",)

    def load(self, folder: Path, device: str = "cpu", threads: int = 1, precision: str = "auto") -> Compiled:
        """Compile it.

        Raises:
            SlimError: a package is missing, or the device is not a CPU.
        """
        if device != "cpu":
            raise SlimError(f"--device {device}: exports for openvino run on a CPU here; give cpu")
        with needs(NAME):
            # Packages of an extra, which take a while to import.
            from ..openvino.compiled import Compiled
        return Compiled(folder / MODEL, threads, precision)

    def verify(self, job: ExportJob, folder: Path, expected: np.ndarray) -> Verified:
        """Compare with the trained model, and say how many layers run in int8.

        Raises:
            SlimError: a float export computes something else.
        """
        return verify_layers(job, self.load(folder), expected)


TARGET = OpenVino()
