"""``paddle_fp32``: float models for Paddle Inference; also run in bf16 on CPUs and fp16 on GPUs."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ...compat.reparameterization import merge_branches
from .. import paddle_inference
from ..job import ExportJob
from ..parity import FloatOptions, verify_float
from ..target import Verified
from ._paddle import PaddleTarget


class PaddleFp32(PaddleTarget):
    """Float files of Paddle Inference."""

    Options = FloatOptions
    quantized = False
    headings = ("dense", "pruned")

    def write(self, job: ExportJob, folder: Path) -> None:
        """Merge the branches of re-parameterizable blocks, and write the program and the weights."""
        merge_branches(job.model)
        paddle_inference.save(job.model, job.input_shape, folder)

    def verify(self, job: ExportJob, folder: Path, expected: np.ndarray) -> Verified:
        """Compare the outputs with the trained model's, to float32 rounding.

        Raises:
            SlimError: they differ.
        """
        options = FloatOptions.model_validate(job.options)
        return verify_float(job, self.load(folder, job.device), expected, options)


TARGET = PaddleFp32()
