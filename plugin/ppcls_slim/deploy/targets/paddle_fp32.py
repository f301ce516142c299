"""``paddle_fp32``: float models for Paddle Inference; also run in bf16 on CPUs and fp16 on GPUs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from ...compat.onednn import broken_passes
from ...compat.reparameterization import merge_branches
from .. import paddle_inference
from ..job import ExportJob
from ..parity import FloatOptions, verify_float
from ..target import Verified
from ._paddle import HOW_TO_RUN, PaddleTarget


class PaddleFp32(PaddleTarget):
    """Float files of Paddle Inference."""

    Options = FloatOptions
    quantized = False
    headings = ("dense", "pruned")

    def write(self, job: ExportJob, folder: Path) -> None:
        """Merge the branches of re-parameterizable blocks, and write the program and the weights.

        Where Paddle's own defaults cannot run the program, also how to.
        """
        merge_branches(job.model)
        paddle_inference.save(job.model, job.input_shape, folder)
        program, _ = paddle_inference.files_of(folder)
        passes = broken_passes(program)
        if passes:
            (folder / HOW_TO_RUN).write_text(_how_to(passes), encoding="utf-8")

    def verify(self, job: ExportJob, folder: Path, expected: np.ndarray) -> Verified:
        """Compare the outputs with the trained model's, to float32 rounding.

        Raises:
            SlimError: they differ.
        """
        options = FloatOptions.model_validate(job.options)
        verified = verify_float(job, self.load(folder, job.device), expected, options)
        said = (folder / HOW_TO_RUN).is_file()
        note = f"; not every oneDNN pass of Paddle Inference can run it: see {HOW_TO_RUN} beside it" if said else ""
        return replace(verified, note=note)


def _how_to(passes: Sequence[str]) -> str:
    lines = "\n".join(f'    config.delete_pass("{name}")' for name in passes)
    return f"""This model has operators that Paddle Inference computes wrong, or stops at, with oneDNN, which it has
on unless it is told otherwise. Where you make a predictor on a CPU, turn the passes off that do it:

    config = paddle.inference.Config("inference.json", "inference.pdiparams")
    config.enable_mkldnn()
{lines}

or turn oneDNN off, which is slower:

    config.disable_mkldnn()

tools/predict.py does the former.
"""


TARGET = PaddleFp32()
