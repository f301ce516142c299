"""The dense model that a job starts from: image sizes that it takes, BN statistics, loss, file of weights."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.backbones import setup
from benchmarks.backbones.rows import MatrixRow
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.layers import batch_norms, momentum, set_momentum
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.engine.build import build_dense
from ppcls_slim.prune.flops import run_once

SIZES = (64, 112, 224, 256, 384)
"""Height and width that are tried for everything that is run; small first, since no result depends on it."""
NATIVE_SIZES = (224, 256, 384, 112)
"""The same for the analysis and the FLOPs."""


@dataclass(frozen=True)
class Job:
    """One backbone on its way through one job.

    Attributes:
        row: gets what is found.
        arch: the ``Arch`` section.
        folder: of this job.
        digits: folder of the images, see :func:`..setup.data_folder`.
    """

    row: MatrixRow
    arch: dict[str, Any]
    folder: Path
    digits: Path

    def configuration(self, slim: dict[str, Any], size: int, loss: str) -> Path:
        """Write the YAML of this job, see :func:`..setup.configuration`."""
        return setup.configuration(self.arch, slim, size, self.folder, self.digits, loss)


@dataclass(frozen=True)
class Dense:
    """A dense model in memory and on disk.

    Attributes:
        model: with BN statistics of some images.
        weights: the same in a ``.pdparams``.
        loss: name in ``ppcls.loss``.
        size: height and width of the images of a training step.
        native_size: the same of the analysis and the FLOPs.
    """

    model: paddle.nn.Layer
    weights: Path
    loss: str
    size: int
    native_size: int


def build(job: Job) -> Dense:
    """Build the dense model, find the sizes of images that it takes, and save weights to start from.

    Raises:
        SlimError: it runs on images of no size that is tried.
    """
    row = job.row
    yaml = job.configuration({}, NATIVE_SIZES[0], "CELoss")
    with paddle.utils.unique_name.guard():
        model = build_dense(setup.with_keys(yaml), "train", fetch_pretrained=False)
    row.parameters = sum(int(np.prod(parameter.shape)) for parameter in model.parameters())
    native_size, size = (_first_size(model, sizes) for sizes in (NATIVE_SIZES, SIZES))
    row.native_size, row.size = native_size, size
    yaml = job.configuration({}, size, "CELoss")
    loss = _loss(model, size)
    reestimate_bn_statistics(model, setup.digits_as_images(setup.with_keys(yaml), setup.EVALUATED))
    weights = job.folder / "dense.pdparams"
    paddle.save(model.state_dict(), str(weights))
    return Dense(model, weights, loss, size, native_size)


def reestimate_bn_statistics(model: paddle.nn.Layer, images: np.ndarray) -> None:
    """Replace the running mean and variance of every batch normalization by those of some images.

    With the initial ones, activations of many untrained models grow to 1e4, which no trained model's do: softmax and
    int8 would then be compared where they are never used.

    Args:
        model: left in training mode.
        images: ``[n, C, H, W]``.
    """
    norms = batch_norms(model)
    before = [momentum(norm) for norm in norms]
    model.train()
    for norm in norms:
        set_momentum(norm, 0.0)  # nothing of the old statistics
    with paddle.no_grad():
        model(paddle.to_tensor(images))
    for norm, value in zip(norms, before):
        set_momentum(norm, value)


def _first_size(model: paddle.nn.Layer, sizes: tuple[int, ...]) -> int:
    errors = {}
    for size in sizes:
        try:
            run_once(model, [3, size, size])
            return size
        except Exception as error:  # whatever the model's code raises
            errors[_line(error)] = size
    reasons = "; ".join(f"{size}: {line}" for line, size in errors.items())
    raise SlimError(f"runs on images of none of these sizes: {reasons}")


def _loss(model: paddle.nn.Layer, size: int) -> str:
    """GoogLeNet has two heads more in training."""
    model.train()
    with paddle.no_grad():
        returned = model(paddle.zeros([2, 3, size, size]))
    return "GoogLeNetLoss" if isinstance(returned, (list, tuple)) and len(returned) == 3 else "CELoss"


def _line(error: BaseException) -> str:
    text = [line for line in str(error).strip().splitlines() if line.strip()]
    return f"{type(error).__name__}: {text[-1].strip()[:100] if text else ''}"
