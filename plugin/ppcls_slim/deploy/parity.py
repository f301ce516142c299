"""Hold an export against the trained model: the part of ``verify`` that all targets have in common."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from typing import Any, Optional, Protocol

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger, say
from ..report.tables import Comparison
from ..verify import export_parity
from ..verify import int8 as int8_parity
from ..verify.accuracy import logits_of
from ..verify.agreement import Agreement
from .job import ExportJob
from .layer_names import layers_of_weights
from .target import Verified

MOST_IN_INT8 = 0.9
"""Share of layers below which an export names those that run in float."""
NAMED = 6

Run = Callable[[np.ndarray], np.ndarray]


class FloatOptions(BaseModel):
    """How close a float export has to be."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tolerance: float = Field(
        export_parity.TOLERANCE,
        gt=0.0,
        description="Refuse an export whose output differs by more than this share of the largest output.",
    )


class Int8Options(BaseModel):
    """How an int8 export is compared."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    samples: int = Field(1000, ge=1, description="Compare on so many evaluation samples (Slim.quant.verify_samples).")
    threshold: float = Field(
        0.02, ge=0.0, le=1.0, description="Warn above this share of lost top-1 (Slim.quant.verify_threshold)."
    )


def verify_float(job: ExportJob, run: Run, expected: np.ndarray, options: FloatOptions) -> Verified:
    """Compare outputs with the trained model's, to float32 rounding.

    Raises:
        SlimError: they differ.
    """
    outputs = run(job.samples.images)
    parity = export_parity.compare(expected, outputs, job.samples.source)
    say(f"ppcls_slim: exported model against trained model: {parity.line()}")
    export_parity.check(parity, options.tolerance)
    rows = []
    if job.top1_dense is not None and job.metric is not None:
        rows.append(Comparison("top-1", 100 * job.top1_dense, 100 * job.metric, "%"))
    found = Agreement(None, None) if job.gives_features else Agreement(job.metric, _same(expected, outputs))
    return Verified(asdict(parity), rows, found=found)


def verify_int8(job: ExportJob, ways: Mapping[str, Run], options: Int8Options) -> Verified:
    """Compare fake-quant with the exported model on evaluation data.

    Args:
        job: what was exported.
        ways: way of running, see :mod:`ppcls_slim.verify.int8` -> function; fake-quant is added.
        options: how much to compare, and when to warn.

    Raises:
        SlimError: int8 computes something else.
    """
    compare = int8_parity.features if job.gives_features else int8_parity.top1_predictions
    all_ways = {int8_parity.FAKE_QUANT: _trained(job), **ways}
    outputs, labels = int8_parity.run_all(all_ways, job.samples.images, job.evaluation(), options.samples)
    found = {"source": job.samples.source, **compare(outputs, labels)}
    for line in int8_parity.lines(found):
        tell = logger.info if line.startswith(f"{int8_parity.FAKE_QUANT}: ") else say  # it agrees with itself
        tell(f"ppcls_slim: {line}")
    int8_parity.check(found, options.threshold)
    warning = int8_parity.warning(found, options.threshold)
    top1 = int8_parity.accuracy_of(found, int8_parity.INT8)
    close = int8_parity.closeness(found, int8_parity.INT8)
    accuracy = Agreement(None, None) if job.gives_features else Agreement(top1, close)
    return Verified({**found, "warned": warning is not None}, _rows(job, found), warning=warning, found=accuracy)


class Engine(Protocol):
    """An exported model in an engine that tells which layers it runs in int8."""

    @property
    def layers(self) -> int:
        """How many convolutions and matrix products there are."""

    @property
    def int8_layers(self) -> int:
        """How many of them run in int8."""

    @property
    def float_layers(self) -> list[str]:
        """The others: names of layers or of their weights."""

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Run on ``[n, C, H, W]`` float32; return the first output."""


def verify_layers(job: ExportJob, run: Engine, expected: np.ndarray) -> Verified:
    """Compare an export with the trained model; of a quantized one, count the layers that run in int8.

    Raises:
        SlimError: the export computes something else.
    """
    if job.quant is None:
        return verify_float(job, run, expected, FloatOptions())
    return with_share(job, verify_int8(job, {int8_parity.INT8: run}, int8_options(job)), run)


def with_share(job: ExportJob, verified: Verified, run: Engine) -> Verified:
    """Add how many layers of a quantized model run in int8, and which do not."""
    owners = layers_of_weights(job.model)
    left = [owners.get(name, name) for name in run.float_layers]
    share = {"int8_layers": run.int8_layers, "layers": run.layers, "float_layers": left}
    note = f"; {run.int8_layers} of {run.layers} convolutions and matrix products run in int8"
    if run.int8_layers < MOST_IN_INT8 * run.layers:
        known = [(name, why) for name, why in ((name, _why_float(name, job)) for name in left) if why]
        parts = [f"{name} ({why})" for name, why in known[:NAMED]]
        if len(known) > NAMED:
            parts.append(f"{len(known) - NAMED} more")
        if len(known) < len(left):  # their names are the engine's own
            parts.append(f"{len(left) - len(known)} without weights of their own")
        note += f"; in float: {', '.join(parts)}"
    return replace(verified, figures={**verified.figures, **share}, note=note)


def _why_float(name: str, job: ExportJob) -> Optional[str]:
    if name in job.left_float:
        return "auto-speed: no faster in int8"
    if job.quant is not None and name in job.quant.skipped_layers:
        return job.quant.skipped_layers[name]
    if job.quant is not None and name in job.quant.layers:
        return "this engine does not run it in int8"
    return None


def int8_options(job: ExportJob) -> Int8Options:
    """The options of a job: ``Slim.quant`` of this run or of the training, and the target's own."""
    settings = job.quant_settings
    known: dict[str, Any] = {}
    if settings is not None:
        known = {"samples": settings.verify_samples, "threshold": settings.verify_threshold}
    return Int8Options.model_validate({**known, **job.options})


def _trained(job: ExportJob) -> Run:
    def run(images: np.ndarray) -> np.ndarray:
        with paddle.no_grad():
            scores: np.ndarray = logits_of(job.model(paddle.to_tensor(images))).numpy()
        return scores

    return run


def _rows(job: ExportJob, found: dict[str, Any]) -> list[Comparison]:
    """Accuracy of fake-quant and int8, and how close they are."""
    before = _percent(job.top1_dense)
    close = int8_parity.closeness(found, int8_parity.INT8)
    fake, real = (_percent(int8_parity.accuracy_of(found, way)) for way in (int8_parity.FAKE_QUANT, int8_parity.INT8))
    compared = f"of {found['samples']}, fake-quant and int8"
    if found["kind"] == int8_parity.TOP1:
        what = "top-1"
        parity = Comparison(f"equal top-1 predictions {compared}", None, 100 * close, "%")
    else:
        what, before = "recall@1", None
        parity = Comparison(f"mean cosine of features {compared}", None, close)
    return [
        Comparison(f"{what}, fake-quant", before, fake, "%"),
        Comparison(f"{what}, real int8", before, real, "%"),
        parity,
    ]


def _same(expected: np.ndarray, outputs: np.ndarray) -> float:
    """Share of samples with the same largest score."""
    chosen = [scores.reshape(len(scores), -1).argmax(1) for scores in (expected, outputs)]
    return float((chosen[0] == chosen[1]).mean())


def _percent(share: Optional[float]) -> Optional[float]:
    return None if share is None else 100 * share
