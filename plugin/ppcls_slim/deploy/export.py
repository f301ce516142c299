"""Export as a whole: for every target write aside, verify, move into place, compare with the dense model."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Optional

import numpy as np

from ..checkpoint import SIDECAR
from ..common.atomic import atomic_folder
from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger, result, say
from ..config.deploy import PADDLE
from ..report.tables import Comparison
from ..verify.accuracy import logits_of
from .advice import advice
from .auto_speed import slow_in_int8
from .comparison import compare_with_dense, export_dense
from .inference_yml import LABELS
from .job import ExportJob
from .paddle_inference import NAME, write_sidecar
from .side_by_side import Exported, Row, side_by_side, table
from .target import Target, Verified, find_target


@dataclass(frozen=True)
class Outcome:
    """What an export wrote.

    Attributes:
        done: target -> where it lies, and what verifying it found.
        rows: of the table dense against compressed of the first target; empty for a dense model.
        ways: every way of running the model, timed in turns; empty where nothing was compared.
        warnings: about the latencies.
    """

    done: Mapping[str, Exported]
    rows: Sequence[Comparison] = ()
    ways: Sequence[Row] = ()
    warnings: Sequence[str] = ()


def export(job: ExportJob, compare: bool = True, tell: Optional[Callable[[Outcome], None]] = None) -> Outcome:
    """Export a model for every target: for ``paddle`` to ``job.folder``, for others to a folder of their name in it.

    Args:
        job: the model and what is known about it. Exporting may rearrange the model: it is of no use afterwards.
        compare: also export the dense model, and time both.
        tell: is given the summary of what was exported, if only for some of the targets.

    Raises:
        SlimError: a target cannot run the model, or an exported model computes something else; the folder of that
            target is left as it is, and the other targets are written.
    """
    expected = _outputs(job)
    compressed = job.plan is not None or job.quant is not None
    done: dict[str, Exported] = {}
    rows: list[Comparison] = []
    failed: list[str] = []
    ways: Sequence[Row] = ()
    busy: list[str] = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in job.targets:
            folder = export_folder(job.folder, name)
            one = replace(job, folder=folder, scratch=Path(scratch))
            try:
                target = find_target(name, job.quant is not None)
                verified = _export_for(target, one, expected)
                baseline = None
                if compare and compressed:
                    dense = Path(scratch) / f"dense-{name}"
                    baseline = (export_dense(one, target, dense), dense)
                    rows = rows or compare_with_dense(one, target, verified, *baseline, busy.append)
                done[name] = Exported(target, folder, verified, baseline)
            except SlimError as error:
                if len(job.targets) == 1:
                    raise
                failed.append(f"{name}: {error}")
        if compare and done and (compressed or len(done) > 1):
            ways = side_by_side(job, done, busy.append)
            _say_which_to_deploy(ways)
    for line in [*busy[:1], *(exported.verified.warning for exported in done.values())]:
        if line is not None:
            logger.warning(f"ppcls_slim: {line}")
    outcome = Outcome(done, rows, ways, busy[:1])
    if tell is not None and done:
        tell(outcome)
    if failed:
        raise SlimError("; ".join(failed))
    return outcome


def export_folder(folder: Path, name: str) -> Path:
    """Where the export for a target lies.

    Args:
        folder: ``Global.save_inference_dir``.
        name: of the target, as in ``Slim.deploy.targets``.
    """
    return folder if name == PADDLE else folder / name


def _say_which_to_deploy(ways: Sequence[Row]) -> None:
    for line in [*table(ways).splitlines(), *(f"ppcls_slim: {line}" for line in advice(ways))]:
        result(line)


def _export_for(target: Target, job: ExportJob, expected: np.ndarray) -> Verified:
    compressed = job.plan is not None or job.quant is not None
    if job.quant_settings is not None and job.quant_settings.skips_slow_layers:
        job = replace(job, left_float=slow_in_int8(target, job))
    # A program of another Paddle version or the sidecar file of another model would be taken for part of this one.
    with atomic_folder(job.folder, replaced=[*target.may_write, f"{NAME}{SIDECAR}"]) as folder:
        target.write(job, folder)
        (folder / f"{NAME}.yml").write_text(job.inference_yml, encoding="utf-8")
        if job.labels is not None:
            shutil.copyfile(job.labels, folder / LABELS)
        if compressed:
            write_sidecar(folder, job.sidecar({}))  # targets read there how the model was compressed
        verified = target.verify(job, folder, expected)
        if compressed:
            left = {"left_float": sorted(job.left_float)} if job.left_float else {}
            write_sidecar(folder, job.sidecar({**verified.figures, **left}))
    say(f"ppcls_slim: exported to {job.folder}{verified.note}")
    return verified


def _outputs(job: ExportJob) -> np.ndarray:
    with paddle.no_grad():
        return np.asarray(logits_of(job.model(paddle.to_tensor(job.samples.images))).numpy())
