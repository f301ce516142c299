"""``onnx``: an ONNX file, float or int8 with Q/DQ nodes, run by ONNX Runtime; also one placed for TensorRT."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...common.errors import SlimError
from ..job import ExportJob
from ..optional import needs
from ..parity import Int8Options, verify_layers
from ..target import Verified

if TYPE_CHECKING:
    from ..onnx.session import Session

NAME = "onnx"
MODEL = "inference.onnx"
FOR_TENSORRT = "inference_tensorrt.onnx"


class Onnx:
    """ONNX files."""

    Options = Int8Options
    engine = "ONNX Runtime"
    baseline = NAME
    headings = ("dense FP32", "exported")
    weights = MODEL
    may_write: Sequence[str] = (MODEL, FOR_TENSORRT)

    def write(self, job: ExportJob, folder: Path) -> None:
        """Write the file; of a quantized model a second one, whose Q/DQ nodes stand where TensorRT wants them.

        Raises:
            SlimError: a package is missing, an operator cannot be converted, or int8 cannot express the model.
        """
        with needs(NAME):
            # Packages of an extra, which take a while to import.
            from ..onnx.write import write_onnx
        write_onnx(job, folder / MODEL, "onnxruntime")
        if job.quant is not None:
            write_onnx(job, folder / FOR_TENSORRT, "tensorrt")

    def recognizes(self, folder: Path) -> bool:
        """Whether a folder holds an ONNX file."""
        return (folder / MODEL).is_file()

    def precisions(self, folder: Path, device: str = "cpu") -> Sequence[str]:
        """The one of the file."""
        return ("auto",)

    def load(self, folder: Path, device: str = "cpu", threads: int = 1, precision: str = "auto") -> Session:
        """Load the file for ONNX Runtime.

        Raises:
            SlimError: a package is missing, or the precision is not that of the file.
        """
        with needs(NAME):
            # Packages of an extra, which take a while to import.
            from ..onnx.session import Session
        session = Session(folder / MODEL, device, threads)
        if precision not in ("auto", session.precision):
            raise SlimError(f"--precision {precision}: {folder / MODEL} runs in {session.precision}; leave it out")
        return session

    def verify(self, job: ExportJob, folder: Path, expected: np.ndarray) -> Verified:
        """Compare with the trained model, and say how many layers run in int8.

        Raises:
            SlimError: a float export computes something else.
        """
        return verify_layers(job, self.load(folder), expected)


TARGET = Onnx()
