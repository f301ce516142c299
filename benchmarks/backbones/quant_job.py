"""Quantize one backbone with PACT: one training step, checkpoint and back, export to int8, comparison."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks.backbones import layerwise, setup
from benchmarks.backbones.compare import export_errors, logits, logits_error
from benchmarks.backbones.dense import Job, build
from benchmarks.backbones.reread import reread_from_checkpoint
from benchmarks.backbones.rows import MatrixRow
from benchmarks.backbones.tolerances import INT8, LAYER, LONG_PART, PART, REFERENCE_RUN, ROUNDING
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.deploy.paddle_inference import NAME
from ppcls_slim.engine.engine import SlimEngine
from ppcls_slim.quant.record import QuantRecord

FEW = 4
"""Images for what is compared layer by layer."""


def run_quant(job: Job, stage: Callable[[str], None]) -> None:
    """Take one backbone through quantization; arguments and errors are those of :func:`..prune_job.run_prune`."""
    row, dense = job.row, build(job)
    yaml = job.configuration({"quant": {"name": "pact", "calibration_batches": 1}}, dense.size, dense.loss)
    stage("compress")
    engine = SlimEngine(setup.with_keys(yaml, pretrained_model=str(dense.weights)), "train")
    images = setup.digits_as_images(engine.config, setup.EVALUATED)
    cost = row.quant_error = logits_error(logits(engine.model, images), logits(dense.model, images))
    del dense
    stage("train")
    engine.train()
    stage("checkpoint")
    reread = reread_from_checkpoint(engine, yaml)
    if reread.quant is None:
        raise SlimError("the model that was rebuilt from the checkpoint is not quantized")
    stage("export")
    reread.export_without_comparison()
    stage("parity")
    exported = job.folder / "inference"
    _check_layers(row, reread.model, reread.quant, exported / NAME, images[:FEW], max(INT8, 2 * cost))
    _check_logits(row, reread.model, reread.quant, exported, images, cost)


def _check_layers(
    row: MatrixRow, model: paddle.nn.Layer, record: QuantRecord, exported: Path, images: np.ndarray, int8: float
) -> None:
    """Hold every quantized layer of the file, and a dozen parts of it in int8, each on its own input."""
    row.layer_error, worst = layerwise.largest_difference(model, record, exported, images)
    if not row.layer_error <= LAYER:
        raise SlimError(f"{worst} in the exported file differs from the trained layer by {row.layer_error:.2g}")
    parts = layerwise.errors_in_int8(exported, images)
    row.part_error = max(error for error, _ in parts)
    for error, layers in parts:
        if not error <= (PART if layers <= LONG_PART else int8):
            raise SlimError(f"a part of the exported file differs in int8 from its reference run by {error:.2g}")


def _check_logits(
    row: MatrixRow, model: paddle.nn.Layer, record: QuantRecord, exported: Path, images: np.ndarray, cost: float
) -> None:
    """Hold the logits of the exported model, loosely: see ``tolerances``.

    Args:
        row: gets the errors.
        model: the trained one.
        record: how it is quantized.
        exported: folder of the exported model.
        images: ``[n, C, H, W]``.
        cost: error of the fake-quantized model's logits against the float model's.
    """
    expected = logits(model, images)
    with layerwise.with_noise(model, record, ROUNDING):
        row.rounding_error = logits_error(logits(model, images), expected)
    row.parity, row.parity_int8 = export_errors(expected, exported, images)
    limits = (max(REFERENCE_RUN, 3 * row.rounding_error), max(INT8, 2 * cost))
    for found, limit, how in zip((row.parity, row.parity_int8), limits, ("in a reference run", "in int8")):
        if not found <= limit:
            raise SlimError(
                f"the exported model's logits, {how}, differ from the trained model's by {found:.2g} "
                f"(quantizing the float model: {cost:.2g})"
            )
