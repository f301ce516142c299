"""What the targets of Paddle Inference have in common: files, and how they are found and loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ...compat.paddle_inference import has_bf16
from .. import paddle_inference
from ..paddle_inference import Predictor

HOW_TO_RUN = "HOW_TO_RUN_FAST.txt"


class PaddleTarget:
    """Files of Paddle Inference.

    Attributes:
        quantized: whether they are for int8; the sidecar file beside them says so.
    """

    quantized: bool
    engine = "oneDNN"
    baseline = "paddle_fp32"
    weights = paddle_inference.WEIGHTS
    may_write: Sequence[str] = (*paddle_inference.PROGRAMS, HOW_TO_RUN)

    def recognizes(self, folder: Path) -> bool:
        """Whether a folder holds a model for Paddle Inference, quantized or float as this target's are."""
        exported = any((folder / name).is_file() for name in paddle_inference.PROGRAMS)
        return exported and paddle_inference.is_quantized(folder) == self.quantized

    def precisions(self, folder: Path, device: str = "cpu") -> Sequence[str]:
        """int8 for quantized models; else FP32, and BF16 on a CPU that has it or FP16 on a GPU."""
        if self.quantized:
            return ("auto",)
        if device == "gpu":
            return ("fp32", "fp16")
        return ("fp32", "bf16") if has_bf16() else ("fp32",)

    def load(self, folder: Path, device: str = "cpu", threads: int = 1, precision: str = "auto") -> Predictor:
        """Load it: with oneDNN on a CPU, and in int8 if it is quantized and the device can."""
        return Predictor(folder, device, threads, precision)
