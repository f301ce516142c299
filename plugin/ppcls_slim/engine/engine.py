"""PaddleClas's ``Engine`` with compression in it.

PaddleClas builds, trains, evaluates and predicts as it always does. This module replaces four things: how the model
is built (:mod:`.states`), how weights are loaded (:mod:`.loading`), how checkpoints are saved (:mod:`.saving`), and
how a model is exported (:mod:`.export_job`).
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

from ..checkpoint import Checkpoint, Metadata
from ..common.console import console
from ..compat.distributed import is_rank0
from ..compat.layers import unwrap
from ..compat.paddle import paddle
from ..compat.paddleclas.config import copy_config
from ..compat.paddleclas.console_log import log_file
from ..compat.paddleclas.logger import say
from ..compat.paddleclas.stand_ins import Engine, build_dataloader, while_building, while_training
from ..compat.paddleclas.types import ClasConfig
from ..config.section import SlimConfig, read_section
from ..deploy.export import Outcome, export
from ..prune.plan import Plan
from ..prune.step import Step
from ..quant.record import QuantRecord
from ..verify.accuracy import top1
from . import auto_resume, loading, preflight
from .banner import banner
from .build import ParameterNames, build_dense
from .curves import Curves
from .epoch_lines import EpochLines
from .export_job import make_export_job
from .fine_tuning import rate_of, set_learning_rate
from .hooks import Hook, Seeding
from .locking import output_folder_locked
from .page import page_of_export, page_of_training
from .progress import BEST, Progress
from .record import stage_of
from .run import Run
from .saving import CheckpointWriter
from .states import State, state_of
from .teaching import Lessons, check_distillation, find_teacher, teaching_hooks
from .training_batches import feed, feed_with_labels


class SlimEngine(Engine):
    """Train, evaluate, predict with or export a model that the ``Slim`` section compresses.

    Args:
        config: PaddleClas configuration, as ``ppcls.utils.config.get_config`` returns it.
        mode: ``train``, ``eval``, ``infer`` or ``export``.
        step: of ``Slim.prune.steps`` that this training is; None where it prunes at once, or not.
        epochs_before: of the earlier steps, whose random numbers are not repeated.

    Attributes:
        original_config: the configuration as it was given; the engine consumes parts of ``config``.
        slim: the ``Slim`` section.
        checkpoint: where the weights come from, if they come from a file.
        metadata: what the checkpoint's sidecar file says, and this run adds.
        progress: of the training: its best epoch, and where its checkpoints lie.
        state: what the model is.
        page: of the run, once it was written.

    Raises:
        SlimError: the configuration or a file that it names cannot be used as asked.
    """

    state: State
    _lessons: Optional[Lessons]
    _epoch_lines: EpochLines
    train_epoch_func: Callable[..., None]

    def __init__(self, config: ClasConfig, mode: str = "train", step: Optional[Step] = None, epochs_before: int = 0):
        self.original_config: ClasConfig = copy_config(config)
        self.slim = read_section(config) or SlimConfig()
        self._step, self._epochs_before = step, epochs_before
        preflight.check_device(config)
        preflight.check_data(config, mode)
        preflight.check_ema(config, self.slim, mode)
        self._found = auto_resume.resolve(config) if mode == "train" else None
        self.checkpoint: Optional[Checkpoint] = preflight.find_checkpoint(config, mode)
        preflight.check_compression(config, self.slim, self.checkpoint, mode)
        check_distillation(config, self.slim, self.checkpoint, mode)
        self.metadata = self.checkpoint.metadata.model_copy(deep=True) if self.checkpoint is not None else Metadata()
        self._rate: Optional[str] = None
        if mode == "train":
            resumes = bool(config["Global"].get("checkpoints"))
            self._rate = set_learning_rate(config, self.slim, self.checkpoint, resumes, self.metadata)
        self.learning_rate = rate_of(config)
        self.progress = Progress(_base_seed(config))
        self.page: Optional[Path] = None
        self._hooks: list[Hook] = []
        self._names = ParameterNames()
        logging.getLogger("visualdl").setLevel(logging.ERROR)  # it logs at import time through the root logger
        loader = preflight.with_clear_errors(build_dataloader)
        with self._names.in_use(), while_building(self._build_model, loader, self._load_pretrained):
            super().__init__(config, mode)
        if mode == "train":
            self._train_epoch, self.train_epoch_func = self.train_epoch_func, self._train_epoch_with_hooks

    @property
    def plan(self) -> Optional[Plan]:
        """How the model was pruned."""
        return self.state.plan

    @property
    def quant(self) -> Optional[QuantRecord]:
        """How the model was quantized."""
        return self.state.quant

    @property
    def saved(self) -> dict[str, Path]:
        """Prefix -> path prefix of the last checkpoint saved under it."""
        return self.progress.saved

    def train(self) -> None:
        """Train as PaddleClas does, with checkpoints that are saved atomically and resume exactly.

        Raises:
            SlimError: another training writes into ``Global.output_dir``.
        """
        with output_folder_locked(self.original_config):
            self._epoch_lines = EpochLines(self)
            writer = CheckpointWriter(self.state, self.metadata, self.progress, self._epoch_lines.saved)
            self._hooks = [
                Seeding(self.progress, self.train_dataloader, self._epochs_before),
                *self.state.hooks(self.metadata, self.progress),
                *teaching_hooks(self._lessons, self, self.metadata),
                Curves(self, lambda: self.progress.stages, stage_of(self), self._run().resumed is not None),
            ]
            with self._names.in_use(), while_training(writer.save_model, self._resume):
                super().train()
            if self.config["Global"]["epochs"] == 0 and not self.progress.saved:
                self._save_untrained(writer)
            for hook in self._hooks:
                hook.after_train(unwrap(self.model))
            if is_rank0():
                self.state = self.state.finish(self._run(), self.progress)
                self.page = page_of_training(self)

    def export(self, save_path: Any = None, uniform_output_enabled: bool = False, ema_module: Any = None) -> Any:
        """Export to ``Global.save_inference_dir``, verify, and compare with the dense model.

        With ``uniform_output_enabled`` PaddleClas calls this in the middle of training; that is left to it.

        Returns:
            The rows of the table dense against compressed.

        Raises:
            SlimError: the exported model computes something else; nothing is then moved into place.
        """
        if uniform_output_enabled:
            return super().export(save_path, uniform_output_enabled, ema_module)
        outcomes: list[Outcome] = []
        try:
            return list(export(make_export_job(self.model, self.state, self._run()), tell=outcomes.append).rows)
        finally:
            for outcome in outcomes:
                self.page = page_of_export(self, outcome)

    def export_without_comparison(self) -> None:
        """Export and verify, as :meth:`export`."""
        export(make_export_job(self.model, self.state, self._run()), compare=False)

    def _build_model(self, config: ClasConfig, mode: str = "train") -> paddle.nn.Layer:
        """Stand in for ``ppcls.arch.build_model``: build the dense model, load the checkpoint, and compress."""
        console.introduce(banner(self.original_config, self, log_file()), again=self.mode == "train")
        for said in (self._found, self._rate):
            if said is not None:
                say(f"ppcls_slim: {said}")
        run, state = self._run(), state_of(self.checkpoint)
        model = build_dense(config, mode, fetch_pretrained=state.fetches_pretrained)
        if run.checkpoint is not None:
            state.restore(model, run.checkpoint, run)
        teacher = find_teacher(model, state, run)
        self.state = state.begin(model, run)
        self._lessons = Lessons.plan(teacher, model, run)
        return model

    def _run(self) -> Run:
        resumes = self.mode == "train" and bool(self.config["Global"].get("checkpoints"))
        return Run(
            config=self.config,
            slim=self.slim,
            mode=self.mode,
            pretrained=None if resumes else self.checkpoint,
            resumed=self.checkpoint if resumes else None,
            metadata=self.metadata,
            top1=self._top1 if self._can_evaluate() else None,
            training_data=getattr(self, "train_dataloader", ()),
            feed=feed_with_labels if getattr(self, "is_rec", False) else feed,
            loss=getattr(self, "train_loss_func", None),
            step=self._step,
        )

    def _load_pretrained(self, models: Any, path: str, *args: Any, **kwargs: Any) -> None:
        """Stand in for ``load_dygraph_pretrain([model, loss], path)``: the model has its weights already."""
        loss = models[1] if isinstance(models, list) else None
        if self.checkpoint is not None:
            loading.load_loss(loss, self.checkpoint)

    def _resume(self, config: ClasConfig, net: Any, optimizer: Any = None, loss: Any = None, ema: Any = None) -> Any:
        """Stand in for ``ppcls.utils.save_load.init_model``, which is called with ``Global.checkpoints``."""
        if self.checkpoint is None:
            return None
        reached = loading.resume(self.checkpoint, self.progress, net, optimizer, loss, ema)
        if reached["epoch"] >= self.config["Global"]["epochs"]:
            say(f"ppcls_slim: nothing is left to train, Global.epochs is {self.config['Global']['epochs']}")
        return reached

    def _train_epoch_with_hooks(self, engine: Any, epoch_id: int, print_batch_step: int) -> None:
        model = unwrap(self.model)
        with self._epoch_lines.training(model, epoch_id):
            for hook in self._hooks:
                hook.before_epoch(model, epoch_id)
            self._train_epoch(engine, epoch_id, print_batch_step)
            for hook in self._hooks:
                hook.after_epoch(model, epoch_id)

    def _save_untrained(self, writer: CheckpointWriter) -> None:
        """Save what zero epochs leave: a model that is compressed and calibrated only."""
        metric = self._top1(self.model) if self._can_evaluate() else 0.0
        place = {"model_name": self.config["Arch"]["name"], "prefix": BEST}
        writer.save_model(self.model, self.optimizer, {"metric": metric, "epoch": 0}, self.output_dir, **place)

    def _can_evaluate(self) -> bool:
        return self.eval_mode == "classification" and getattr(self, "eval_dataloader", None) is not None

    def _top1(self, model: paddle.nn.Layer) -> float:
        return top1(model, self.eval_dataloader)


def _base_seed(config: ClasConfig) -> int:
    seed = config["Global"].get("seed")
    return int(seed) if seed or seed == 0 else random.SystemRandom().randrange(2**31)
