"""Export as a whole: write aside, verify, move into place, compare with the dense model."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..checkpoint import SIDECAR
from ..common.atomic import atomic_folder
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger
from ..report.tables import Comparison
from ..verify.accuracy import logits_of
from .comparison import compare_with_dense
from .inference_yml import LABELS
from .job import ExportJob
from .paddle_inference import NAME
from .target import FLOAT, QUANTIZED, find_target


def export(job: ExportJob, compare: bool = True, target: Optional[str] = None) -> list[Comparison]:
    """Export a model to ``job.folder``, or leave the folder as it is.

    Args:
        job: the model and what is known about it. Exporting may rearrange the model: it is of no use afterwards.
        compare: also export the dense model, and time both.
        target: name of the deployment target; None: int8 for a quantized model, float otherwise.

    Returns:
        The rows of the table dense against compressed; empty for a dense model, and without ``compare``.

    Raises:
        SlimError: the target cannot run the model, or the exported model computes something else; nothing is then
            moved into place.
    """
    chosen = find_target(target or (FLOAT if job.quant is None else QUANTIZED))
    compressed = job.plan is not None or job.quant is not None
    expected = _outputs(job)
    # A program of another Paddle version or the sidecar file of another model would be taken for part of this one.
    with atomic_folder(job.folder, replaced=[*chosen.may_write, f"{NAME}{SIDECAR}"]) as folder:
        chosen.write(job, folder)
        (folder / f"{NAME}.yml").write_text(job.inference_yml, encoding="utf-8")
        if job.labels is not None:
            shutil.copyfile(job.labels, folder / LABELS)
        if compressed:
            _write_sidecar(job, folder, {})  # targets read there how the model was compressed
        verified = chosen.verify(job, folder, expected)
        if compressed:
            _write_sidecar(job, folder, verified.figures)
    logger.info(f"ppcls_slim: exported to {job.folder}{verified.note}")
    rows = compare_with_dense(job, chosen, verified) if compressed and compare else []
    if verified.warning is not None:
        logger.warning(f"ppcls_slim: {verified.warning}")
    return rows


def _outputs(job: ExportJob) -> np.ndarray:
    with paddle.no_grad():
        return np.asarray(logits_of(job.model(paddle.to_tensor(job.samples.images))).numpy())


def _write_sidecar(job: ExportJob, folder: Path, verified: Mapping[str, Any]) -> None:
    (folder / f"{NAME}{SIDECAR}").write_text(json.dumps(job.sidecar(verified), indent=1), encoding="utf-8")
