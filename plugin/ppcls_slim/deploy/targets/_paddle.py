"""What the targets of Paddle Inference have in common: files, and how they are found and loaded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

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

    def load(self, folder: Path, device: str = "cpu", threads: int = 1, precision: str = "auto") -> Predictor:
        """Load it: with oneDNN on a CPU, and in int8 if it is quantized and the device can."""
        return Predictor(folder, device, threads, precision)
