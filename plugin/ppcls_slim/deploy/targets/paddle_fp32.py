"""``paddle_fp32``: float models for Paddle Inference; also run in bf16 on CPUs and fp16 on GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ...compat.paddleclas.logger import logger
from ...compat.reparameterization import merge_branches
from ...report.tables import Comparison
from ...verify import export_parity
from .. import paddle_inference
from ..job import ExportJob
from ..paddle_inference import Predictor
from ..target import Verified


class Options(BaseModel):
    """Options of ``paddle_fp32``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: float = Field(
        export_parity.TOLERANCE,
        gt=0.0,
        description="Refuse an export whose output differs by more than this share of the largest output.",
    )


class PaddleFp32:
    """Float files of Paddle Inference."""

    Options = Options
    baseline = "paddle_fp32"
    headings = ("dense", "pruned")
    weights = paddle_inference.WEIGHTS
    may_write: Sequence[str] = paddle_inference.PROGRAMS

    def write(self, job: ExportJob, folder: Path) -> None:
        """Merge the branches of re-parameterizable blocks, and write the program and the weights."""
        merge_branches(job.model)
        paddle_inference.save(job.model, job.input_shape, folder)

    def recognizes(self, folder: Path) -> bool:
        """Whether a folder holds a model for Paddle Inference that is not quantized."""
        return paddle_inference.is_exported(folder) and not paddle_inference.is_quantized(folder)

    def load(self, folder: Path, device: str = "cpu", threads: int = 1, precision: str = "auto") -> Predictor:
        """Load it, with oneDNN on a CPU."""
        return Predictor(folder, device, threads, precision)

    def verify(self, job: ExportJob, folder: Path, expected: np.ndarray) -> Verified:
        """Compare the outputs with the trained model's, to float32 rounding.

        Raises:
            SlimError: they differ.
        """
        options = Options.model_validate(job.options)
        found = self.load(folder, job.device)(job.samples.images)
        parity = export_parity.compare(expected, found, job.samples.source)
        logger.info(f"ppcls_slim: exported model against trained model: {parity.line()}")
        export_parity.check(parity, options.tolerance)
        rows = []
        if job.top1_dense is not None and job.metric is not None:
            rows.append(Comparison("top-1", 100 * job.top1_dense, 100 * job.metric, "%"))
        return Verified(asdict(parity), rows)


TARGET = PaddleFp32()
