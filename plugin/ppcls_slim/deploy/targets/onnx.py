"""``onnx``: ONNX files for ONNX Runtime: float and FP16, or int8 with Q/DQ nodes and one placed for TensorRT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ...common.errors import SlimError
from ...compat.paddleclas.logger import logger
from ..job import ExportJob
from ..optional import needs
from ..parity import Int8Options, verify_layers
from ..target import Verified

if TYPE_CHECKING:
    from ..onnx.session import Session

NAME = "onnx"
MODEL = "inference.onnx"
FP16_MODEL = "inference_fp16.onnx"
FOR_TENSORRT = "inference_tensorrt.onnx"
FP16_TOLERANCE = 0.05
"""Share of the largest output by which FP16 may differ from FP32; more is told, at export."""


class Onnx:
    """ONNX files."""

    Options = Int8Options
    engine = "ONNX Runtime"
    baseline = NAME
    headings = ("dense FP32", "exported")
    weights = MODEL
    may_write: Sequence[str] = (MODEL, FP16_MODEL, FOR_TENSORRT)

    def write(self, job: ExportJob, folder: Path) -> None:
        """Write two files: of a float model in FP32 and FP16, of a quantized one with Q/DQ nodes as two engines want.

        Raises:
            SlimError: a package is missing, an operator cannot be converted, or int8 cannot express the model.
        """
        with needs(NAME):
            # Packages of an extra, which take a while to import.
            from ..onnx.half import write_fp16
            from ..onnx.write import write_onnx
        write_onnx(job, folder / MODEL, "onnxruntime")
        if job.quant is None:
            write_fp16(folder / MODEL, folder / FP16_MODEL)
        else:
            write_onnx(job, folder / FOR_TENSORRT, "tensorrt")

    def recognizes(self, folder: Path) -> bool:
        """Whether a folder holds an ONNX file."""
        return (folder / MODEL).is_file()

    def precisions(self, folder: Path, device: str = "cpu") -> Sequence[str]:
        """The one of the file; on GPUs FP16, too, where there is a file in it."""
        return ("auto", "fp16") if device == "gpu" and (folder / FP16_MODEL).is_file() else ("auto",)

    def load(self, folder: Path, device: str = "cpu", threads: int = 1, precision: str = "auto") -> Session:
        """Load a file for ONNX Runtime; with ``fp16`` the one that is for GPUs.

        Raises:
            SlimError: a package is missing, or the precision is not that of a file, or not for this device.
        """
        with needs(NAME):
            # Packages of an extra, which take a while to import.
            from ..onnx.session import Session
        if precision == "fp16" and device != "gpu":
            raise SlimError("--precision fp16 is for --device gpu")
        if precision == "fp16" and not (folder / FP16_MODEL).is_file():
            raise SlimError(f"--precision fp16: {folder} has no {FP16_MODEL}; export the float model for onnx again")
        session = Session(folder / (FP16_MODEL if precision == "fp16" else MODEL), device, threads)
        if precision not in ("auto", session.precision):
            raise SlimError(f"--precision {precision}: {folder / MODEL} runs in {session.precision}; leave it out")
        return session

    def verify(self, job: ExportJob, folder: Path, expected: np.ndarray) -> Verified:
        """Compare with the trained model; say how many layers run in int8, or how far FP16 is from FP32.

        Raises:
            SlimError: a float export computes something else.
        """
        verified = verify_layers(job, self.load(folder), expected)
        return verified if job.quant is not None else _with_fp16(verified, job, folder, expected)


def _with_fp16(verified: Verified, job: ExportJob, folder: Path, expected: np.ndarray) -> Verified:
    """Add how far the FP16 file is from the trained model; ONNX Runtime rounds to FP16 on CPUs, too."""
    # A package of an extra.
    from ..onnx.session import Session

    found = Session(folder / FP16_MODEL)(job.samples.images)
    difference = float(np.abs(found - expected).max() / np.abs(expected).max())
    logger.info(f"ppcls_slim: {FP16_MODEL} against trained model: {difference:.1e} of the largest output")
    warning = verified.warning
    if not difference <= FP16_TOLERANCE:  # NaN, where a number is too large for FP16
        warning = (
            f"{folder.name}/{FP16_MODEL} differs from the trained model by {difference:.2g} of the largest output: "
            "numbers of this model are too large or too small for FP16; run it in FP32"
        )
    return replace(verified, figures={**verified.figures, "fp16_difference": difference}, warning=warning)


TARGET = Onnx()
