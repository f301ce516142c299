"""What happens at given moments of a training."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from ..checkpoint import Metadata
from ..compat.distributed import is_rank0
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger, say
from ..compat.paddleclas.types import DataLoader
from ..prune.schedules.schedule import Schedule
from ..quant import prepare
from ..quant.alpha_history import alpha_line
from ..quant.record import QuantRecord
from ..report.alpha_plot import alpha_plot
from .progress import Progress


class Hook:
    """Does something at moments of a training. ``model`` is never ``DataParallel`` around it."""

    def before_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """Before the first batch of an epoch."""

    def after_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """After the last batch of an epoch, before it is evaluated and saved."""

    def after_train(self, model: paddle.nn.Layer) -> None:
        """After the last epoch was saved."""


class Seeding(Hook):
    """Makes all randomness of an epoch a function of seed, epoch and rank, so that resuming repeats it."""

    def __init__(self, progress: Progress, data: DataLoader, epochs_before: int = 0):
        self._progress, self._data, self._epochs_before = progress, data, epochs_before

    def before_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """Seed everything, and tell the sampler the epoch."""
        epoch += self._epochs_before
        seed = (self._progress.seed + 100_003 * epoch + 1_009 * paddle.distributed.get_rank()) % 2**31
        random.seed(seed)
        np.random.seed(seed)
        paddle.seed(seed)
        sampler: Any = getattr(self._data, "batch_sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch - 1)


class Masking(Hook):
    """Follows ``Slim.prune.schedule``: filters are chosen and zeroed after every epoch."""

    def __init__(self, schedule: Schedule, metadata: Metadata):
        self._schedule, self._metadata = schedule, metadata

    def before_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """Let zeroed filters grow again, where the schedule says so."""
        self._schedule.restore_masked_affine(model)

    def after_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """Choose and zero filters."""
        changed = self._schedule.choose_and_zero(model)
        self._metadata.add_changed_filters(epoch, changed)
        logger.info(f"ppcls_slim: epoch {epoch}, filters zeroed, {changed} of them others than before")


class Alphas(Hook):
    """Watches the clipping levels of PACT and LSQ, and makes the processes' moving averages one."""

    def __init__(self, record: QuantRecord, metadata: Metadata, progress: Progress):
        self._record, self._metadata, self._progress = record, metadata, progress

    def after_epoch(self, model: paddle.nn.Layer, epoch: int) -> None:
        """Look for alphas that ran away, and note them all."""
        history = self._metadata.alpha_history()
        prepare.after_epoch(model, self._record, epoch, history)
        alphas = alpha_line(history, self._record.settings.method)
        if alphas is not None:
            logger.info(f"ppcls_slim: epoch {epoch}, {alphas}")

    def after_train(self, model: paddle.nn.Layer) -> None:
        """Draw them over the epochs."""
        history, folder = self._metadata.alpha, self._progress.folder
        if history and folder is not None and is_rank0():
            say(f"ppcls_slim: alphas over the epochs: {alpha_plot(history, folder)}")
