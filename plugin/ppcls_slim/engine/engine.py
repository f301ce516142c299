"""PaddleClas's ``Engine`` with compression in it.

PaddleClas builds, trains, evaluates and predicts as it always does. This module replaces four things:
how the model is built (dense, weights, prune), how weights are loaded (exactly, or not at all), how a
checkpoint is saved and resumed (with its plan, as a whole), and how a model is exported (checked).
"""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Optional

import numpy as np

from .. import checkpoint as checkpoints
from ..common.errors import SlimError
from ..compat.distributed import broadcast_from_rank0
from ..compat.paddle import paddle
from ..compat.paddleclas.patches import add_names, copy_config, load_engine, replaced
from ..config.section import PruneConfig, SlimConfig, read_section
from ..prune.plan import Plan
from ..prune.pruner import Analysis, make_plan, prune
from ..prune.schedules.schedule import Schedule, make_schedule, remove_masked
from ..prune.sensitivity import sensitivities
from ..quant import prepare
from ..quant.record import QuantRecord
from ..report.alpha_plot import alpha_plot
from ..report.paper_flops import both_counts
from ..report.tables import plan_table
from ..verify.accuracy import top1
from .preflight import check_data, check_device, check_ema, find_checkpoint, no_plan, with_clear_errors

ppcls_engine = load_engine()

from ppcls.utils import logger, save_load  # noqa: E402

from ..zoo.cifar_resnet import BACKBONES  # noqa: E402
from ..zoo.datasets.cifar10 import Cifar10Dataset  # noqa: E402
from ..zoo.datasets.digits import DigitsDataset  # noqa: E402

add_names({"Cifar10Dataset": Cifar10Dataset, "DigitsDataset": DigitsDataset}, BACKBONES)

STATE = "ppcls_slim"  # key of our part of a .pdstates file


class SlimEngine(ppcls_engine.Engine):
    """Train, evaluate, predict with or export a model that the ``Slim`` section compresses.

    Args:
        config: PaddleClas configuration, as ``ppcls.utils.config.get_config`` returns it.
        mode: ``train``, ``eval``, ``infer`` or ``export``.

    Raises:
        SlimError: the configuration or a file that it names cannot be used as asked.
    """

    def __init__(self, config: Any, mode: str = "train"):
        self.original_config = copy_config(config)  # building consumes parts of the configuration
        self.slim: SlimConfig = read_section(config) or SlimConfig()
        self.plan: Optional[Plan] = None
        self.quant: Optional[QuantRecord] = None
        self.schedule: Optional[Schedule] = None
        self._has_weights = False  # building has put the checkpoint's weights in already
        self.metadata: dict[str, Any] = {}
        self.saved: dict[str, Path] = {}  # prefix -> stem of the last checkpoint saved under it
        self._best: dict[str, Any] = {}
        check_device(config)
        check_data(config, mode)
        check_ema(config, mode, hasattr(ppcls_engine, "ExponentialMovingAverage"))
        self.checkpoint = find_checkpoint(config, mode)
        prepare.check(config, self.slim, self.checkpoint, mode)
        self._resumes = mode == "train" and bool(config["Global"].get("checkpoints"))
        if self.slim.prune is not None and self.slim.prune.schedule is not None and config.get("EMA"):
            raise SlimError("EMA: averaged weights are not zero where Slim.prune.schedule zeroes: remove one of them")
        self._base_seed = _base_seed(config)
        _log_quietly()
        # Optimizer states are saved under generated names (conv2d_0.w_0_velocity_0). Counting from zero for
        # every engine makes them the same when several are built in one process.
        self._names = fresh_names()
        with (
            self._own_names(),
            replaced(
                ppcls_engine,
                build_model=self._build_model,
                build_dataloader=with_clear_errors(ppcls_engine.build_dataloader),
                load_dygraph_pretrain=self._load_pretrained,
                load_dygraph_pretrain_from_url=self._load_pretrained,
            ),
        ):
            super().__init__(config, mode)
        if mode == "train":
            self._train_epoch = self.train_epoch_func
            self.train_epoch_func = self._seeded_epoch

    @contextmanager
    def _own_names(self) -> Iterator[None]:
        """Generate parameter names with this engine's own counter."""
        others = paddle.utils.unique_name.switch(*self._names)
        try:
            yield
        finally:
            self._names = paddle.utils.unique_name.switch(*others)

    # ---- building ------------------------------------------------------------------------------

    def _build_model(self, config: Any, mode: str = "train") -> paddle.nn.Layer:
        """Build the dense model, then follow what the checkpoint says about it or decide anew."""
        followed = self.checkpoint.plan if self.checkpoint else None
        quantized = self.checkpoint.quant if self.checkpoint else None
        model = build_dense(config, mode, fetch_pretrained=followed is None and quantized is None)
        zeroed = self.checkpoint.zeroed if self.checkpoint else None
        if followed is not None:
            self._follow(followed, model)
        elif zeroed is not None and not self._resumes:
            self._remove_zeroed(model)
        elif self.slim.prune is not None and quantized is None:
            self._prune(model, mode)
        elif self.slim.quant is None and quantized is None:
            logger.info("ppcls_slim: no Slim section and no plan in the checkpoint: the model stays dense")
        if quantized is not None:
            self._follow_quantized(quantized, model)
        elif self.slim.quant is not None:
            self._quantize(model)
        return model

    def _follow_quantized(self, record: QuantRecord, model: paddle.nn.Layer) -> None:
        assert self.checkpoint is not None
        try:
            prepare.rebuild(model, record)
        except SlimError as error:
            raise SlimError(f"{self.checkpoint.weights}: {error}") from None
        self.quant, self.metadata = record, dict(self.checkpoint.metadata)
        logger.info(f"ppcls_slim: {record.summary()}, as {self.checkpoint.weights} was")

    def _quantize(self, model: paddle.nn.Layer) -> None:
        """Load the float weights (they do not fit the names of a quantized model) and quantize."""
        assert self.slim.quant is not None
        if self.checkpoint is not None and self.checkpoint.plan is not None:
            self._load_exactly(model)
        elif self.checkpoint is not None and self.plan is None:
            self._load_dense(model)
        if self.slim.report is not None and self._can_evaluate() and "top1_dense" not in self.metadata:
            self.metadata["top1_dense"] = self._top1(model)
        run = (lambda b: model(b[0], b[1])) if getattr(self, "is_rec", False) else (lambda b: model(b[0]))
        self.quant = prepare.quantize(model, self.slim.quant, self.train_dataloader, run)
        prepare.note_alphas(model, 0, self.metadata)
        logger.info(f"ppcls_slim: {self.quant.summary()}")
        for name, reason in self.quant.skipped_layers.items():
            logger.info(f"ppcls_slim:   {name} stays float: {reason}")
        if "top1_dense" in self.metadata:
            self.metadata["top1_calibrated"] = self._top1(model)
            logger.info(
                f"ppcls_slim: top-1 {100 * self.metadata['top1_dense']:.2f} % dense, "
                f"{100 * self.metadata['top1_calibrated']:.2f} % quantized, before training"
            )

    def _follow(self, plan: Plan, model: paddle.nn.Layer) -> None:
        assert self.checkpoint is not None
        try:
            prune(model, plan)
        except SlimError as error:
            raise SlimError(f"{self.checkpoint.weights}: {error}") from None
        self.plan, self.metadata = plan, dict(self.checkpoint.metadata)
        section = self.slim.prune
        if section is None:
            yaml = "the configuration has no Slim.prune section"
        elif section.model_dump(mode="json") == plan.settings:
            yaml = "Slim.prune says the same"
        else:
            yaml = "Slim.prune of the configuration differs and is not used"
        logger.info(f"ppcls_slim: following the plan of {self.checkpoint.weights} ({yaml})")

    def _prune(self, model: paddle.nn.Layer, mode: str) -> None:
        section = self.slim.prune
        assert section is not None
        if mode != "train":
            raise SlimError(no_plan(self.checkpoint, mode))
        if self.checkpoint is not None:
            self._load_dense(model)
        if self.slim.report is not None and self._can_evaluate() and not self._resumes:
            self.metadata["top1_dense"] = self._top1(model)
        if section.schedule is not None:
            self._start_schedule(model)
            return
        made = broadcast_from_rank0(
            lambda: make_plan(
                model,
                section,
                self.config["Global"]["image_shape"],
                self.config["Global"]["device"],
                lambda analysis: self._sensitivities(model, analysis),
            ).to_json()
        )
        self.plan = Plan.from_json(made)
        prune(model, self.plan)
        self._log_plan()
        if "top1_dense" in self.metadata:
            self.metadata["top1_pruned"] = self._top1(model)
            logger.info(
                f"ppcls_slim: top-1 {100 * self.metadata['top1_dense']:.2f} % dense, "
                f"{100 * self.metadata['top1_pruned']:.2f} % pruned, before fine-tuning"
            )

    def _start_schedule(self, model: paddle.nn.Layer) -> None:
        section = self.slim.prune
        assert section is not None and section.schedule is not None
        shape, device = self.config["Global"]["image_shape"], self.config["Global"]["device"]
        resumed = None
        if self._resumes:
            assert self.checkpoint is not None
            resumed, self.metadata = self.checkpoint.zeroed, dict(self.checkpoint.metadata)
        self.schedule = make_schedule(
            model, section, shape, device, lambda analysis: self._sensitivities(model, analysis)
        )
        self.schedule.start(model, resumed)
        self._has_weights = True
        logger.info(f"ppcls_slim: {self.schedule.summary()}")

    def _remove_zeroed(self, model: paddle.nn.Layer) -> None:
        """Load weights of which filters are zero, and take those filters out."""
        assert self.checkpoint is not None and self.checkpoint.zeroed is not None
        self._load_exactly(model)
        try:
            self.plan = remove_masked(model, self.checkpoint.zeroed)
        except SlimError as error:
            raise SlimError(f"{self.checkpoint.weights}: {error}") from None
        self.metadata = dict(self.checkpoint.metadata)
        self._has_weights = True
        logger.info(f"ppcls_slim: removing the filters that are zero in {self.checkpoint.weights}")
        self._log_plan()

    def _log_plan(self) -> None:
        assert self.plan is not None
        for line in plan_table(self.plan).splitlines():
            logger.info(line)
        section = PruneConfig.model_validate(self.plan.settings)
        counts = both_counts(self.config["Arch"]["name"], section, self.plan)
        if counts is not None:
            logger.info(f"ppcls_slim: {counts}")

    def _sensitivities(self, model: paddle.nn.Layer, analysis: Analysis) -> dict[str, dict[float, float]]:
        assert self.slim.prune is not None and self.slim.prune.sensitivity_file is not None
        path = Path(self.slim.prune.sensitivity_file)
        if not path.exists() and not self._can_evaluate():
            raise SlimError(
                f"Slim.prune.sensitivity_file: {path} does not exist, and computing it needs "
                "Global.eval_during_train and evaluation data for classification"
            )
        return sensitivities(path, model, analysis, self.slim.prune.name, lambda: self._top1(model), logger.info)

    def _can_evaluate(self) -> bool:
        return self.eval_mode == "classification" and getattr(self, "eval_dataloader", None) is not None

    def _top1(self, model: paddle.nn.Layer) -> float:
        return top1(model, self.eval_dataloader)

    # ---- loading -------------------------------------------------------------------------------

    def _load_dense(self, model: paddle.nn.Layer) -> None:
        """Load weights without a plan as PaddleClas does: what does not fit (another head) is skipped."""
        assert self.checkpoint is not None
        weights = checkpoints.read_weights(self.checkpoint)
        prepare.refuse_quantized(weights, self.checkpoint.weights)
        model.set_state_dict(weights)
        logger.info(f"ppcls_slim: dense weights from {self.checkpoint.weights}")

    def _load_exactly(self, model: paddle.nn.Layer) -> None:
        assert self.checkpoint is not None
        weights = checkpoints.read_weights(self.checkpoint)
        checkpoints.load_exactly(model, weights, self.checkpoint.weights)
        logger.info(f"ppcls_slim: weights from {self.checkpoint.weights}")

    def _load_pretrained(self, models: Any, path: str, *args: Any, **kwargs: Any) -> None:
        """Stand in for ``load_dygraph_pretrain([model, loss], path)`` in ``Engine.__init__``."""
        model, loss = models if isinstance(models, list) else (models, None)
        if self.checkpoint is None:
            return
        decided_here = self.quant is not None and self.checkpoint.quant is None
        if decided_here or self._has_weights:
            pass  # the weights were loaded before the model was quantized, or filters zeroed or removed
        elif self.plan is None and self.quant is None:
            self._load_dense(model)
        elif self.checkpoint.plan is not None or self.checkpoint.quant is not None:
            self._load_exactly(model)
        if loss is not None and loss.parameters():
            loss.set_state_dict(checkpoints.read_weights(self.checkpoint))

    # ---- training ------------------------------------------------------------------------------

    def train(self) -> None:
        """Train as PaddleClas does, with checkpoints that are whole and resume exactly."""
        saving = replaced(save_load, save_model=self._save)
        resuming = replaced(ppcls_engine, init_model=self._resume)
        with self._own_names(), saving, resuming:
            super().train()
        if self.config["Global"]["epochs"] == 0:
            self._save_untrained()
        if self.metadata.get("alpha") and self.saved:
            picture = alpha_plot(self.metadata["alpha"], next(iter(self.saved.values())).parent)
            logger.info(f"ppcls_slim: alphas over the epochs: {picture}")
        if self.schedule is not None and paddle.distributed.get_rank() == 0:
            self._save_removed()

    def _save_untrained(self) -> None:
        """Save what zero epochs leave: a model that is compressed and calibrated only."""
        metric = self._top1(self.model) if self._can_evaluate() else 0.0
        place = {"model_name": self.config["Arch"]["name"], "prefix": "best_model"}
        self._save(self.model, self.optimizer, {"metric": metric, "epoch": 0}, self.output_dir, **place)

    def _save_removed(self) -> None:
        """Write the best model once more, under the name pruned_model, without the filters that are zero."""
        stem = self.saved.get("best_model") or self.saved.get("latest")
        if stem is None:
            logger.info("ppcls_slim: no checkpoint was saved, so there is nothing to remove filters from")
            return
        found = checkpoints.open_checkpoint(str(stem), "the best model")
        assert found.zeroed is not None
        with paddle.utils.unique_name.guard():  # some backbones name their parameters themselves
            model = build_dense(self.original_config, "export", fetch_pretrained=False)
        checkpoints.load_exactly(model, checkpoints.read_weights(found), found.weights)
        self.plan = remove_masked(model, found.zeroed)

        def write(folder: Path) -> None:
            paddle.save(model.state_dict(), str(folder / f"pruned_model{checkpoints.WEIGHTS}"))

        checkpoints.save(stem.parent, "pruned_model", write, checkpoints.sidecar(self.plan, None, found.metadata))
        self.saved["pruned_model"] = stem.with_name("pruned_model")
        self._log_plan()
        logger.info(f"ppcls_slim: {stem} without its zeroed filters: {self.saved['pruned_model']}")

    def _seeded_epoch(self, engine: Any, epoch_id: int, print_batch_step: int) -> None:
        """Make all randomness of an epoch a function of seed, epoch and rank, so that resuming repeats it."""
        seed = (self._base_seed + 100_003 * epoch_id + 1_009 * paddle.distributed.get_rank()) % 2**31
        random.seed(seed)
        np.random.seed(seed)
        paddle.seed(seed)
        sampler = getattr(self.train_dataloader, "batch_sampler", None)
        if hasattr(sampler, "set_epoch"):
            sampler.set_epoch(epoch_id - 1)
        bare = self.model._layers if isinstance(self.model, paddle.DataParallel) else self.model
        if self.schedule is not None:
            self.schedule.restore_masked_affine(bare)
        self._train_epoch(engine, epoch_id, print_batch_step)
        if self.schedule is not None:
            changed = self.schedule.choose_and_zero(bare)
            self.metadata.setdefault("changed_filters", []).append([epoch_id, changed])
            logger.info(f"ppcls_slim: epoch {epoch_id}, filters zeroed, {changed} of them others than before")
        if self.quant is not None:
            prepare.after_epoch(self.model, epoch_id, self.metadata)
            alphas = prepare.alpha_line(self.metadata)
            if alphas is not None:
                logger.info(f"ppcls_slim: epoch {epoch_id}, {alphas}")

    def _save(
        self, net: Any, optimizer: Any, metric_info: dict[str, Any], model_path: str, *args: Any, **kwargs: Any
    ) -> None:
        """Stand in for ``ppcls.utils.save_load.save_model``: what it writes, plus the plan, as a whole."""
        prefix = kwargs.get("prefix", "ppcls")
        metric = float(metric_info.get("metric", 0.0))
        if prefix == "best_model":
            self._best = {"metric": metric, "epoch": metric_info["epoch"]}
        if paddle.distributed.get_rank() != 0:
            return
        state = {**metric_info, "metric": metric, STATE: {"best": self._best, "seed": self._base_seed}}
        metadata = {**self.metadata, "metric": metric, "epoch": metric_info.get("epoch")}

        def write(folder: Path) -> None:
            with replaced(save_load.logger, info=lambda *_: None):  # it names the temporary place
                _save_model(net, optimizer, state, str(folder), *args, **kwargs)
            # Some releases put a folder named after the model between, some do not.
            weights = next(folder.rglob(f"{prefix}{checkpoints.WEIGHTS}"))
            self.saved[prefix] = checkpoints.path_prefix_of(str(model_path / weights.relative_to(folder)))

        model_path = Path(model_path)
        zeroed = self.schedule.record() if self.schedule else None
        compressed = self.plan or self.quant or zeroed
        sidecar = checkpoints.sidecar(self.plan, self.quant, metadata, zeroed) if compressed else None
        checkpoints.save(model_path, prefix, write, sidecar)
        logger.info(f"Already save model in {self.saved[prefix]}")

    def _resume(self, config: Any, net: Any, optimizer: Any = None, loss: Any = None, ema: Any = None) -> Any:
        """Stand in for ``ppcls.utils.save_load.init_model`` with ``Global.checkpoints`` set."""
        assert self.checkpoint is not None
        stem = self.checkpoint.stem
        weights = checkpoints.read_weights(self.checkpoint)
        states = checkpoints.load_file(checkpoints.with_suffix(stem, ".pdstates"))
        optimizers = checkpoints.load_file(checkpoints.with_suffix(stem, ".pdopt"))
        if ema is not None:
            # PaddleClas keeps the averaged weights in .pdparams and the trained ones in .pdema.
            ema.set_state_dict(weights)
            weights = checkpoints.load_file(checkpoints.with_suffix(stem, ".pdema"))
        bare = net._layers if isinstance(net, paddle.DataParallel) else net
        checkpoints.load_exactly(bare, weights, self.checkpoint.weights)
        if loss is not None and loss.parameters():
            loss.set_state_dict(weights)
        for one, state in zip(optimizer, optimizers if isinstance(optimizers, list) else [optimizers]):
            one.set_state_dict(state)
        ours = states.get(STATE, {})
        self._best = ours.get("best") or {}
        self._base_seed = ours.get("seed", self._base_seed)
        logger.info(f"ppcls_slim: resuming after epoch {states['epoch']} of {stem}")
        # The loop of PaddleClas compares later epochs with "metric" and starts after "epoch".
        return {"metric": self._best.get("metric", states["metric"]), "epoch": states["epoch"]}

    # ---- exporting -----------------------------------------------------------------------------

    def export(self, save_path: Any = None, uniform_output_enabled: bool = False, ema_module: Any = None) -> Any:
        """Export to ``Global.save_inference_dir``, verify and compare with the dense model.

        With ``uniform_output_enabled`` PaddleClas calls this in the middle of training; that is left to it.
        """
        if uniform_output_enabled:
            return super().export(save_path, uniform_output_enabled, ema_module)
        from ..deploy.pipeline import export_checked

        return export_checked(self)


_save_model = save_load.save_model


def fresh_names() -> Any:
    """A new counter for generated names."""
    before = paddle.utils.unique_name.switch()
    return paddle.utils.unique_name.switch(*before)


def build_dense(config: Any, mode: str, fetch_pretrained: bool = True) -> paddle.nn.Layer:
    """Build the model of ``Arch`` with PaddleClas, without its own ``Slim`` handling.

    Args:
        config: PaddleClas configuration.
        mode: as for the engine.
        fetch_pretrained: False turns off ``Arch.pretrained``, whose weights would be overwritten.

    Raises:
        SlimError: ``Arch`` names no model, or its pretrained weights cannot be fetched.
    """
    dense = type(config)({key: value for key, value in config.items() if key != "Slim"})
    dense["Arch"] = copy.deepcopy(config["Arch"])
    if not fetch_pretrained:
        _without_pretrained(dense["Arch"])
    try:
        return _build_model(dense, mode)
    except (AttributeError, NameError) as error:
        raise SlimError(f"Arch: {error}") from error if not _is_unknown_arch(error, dense["Arch"]) else None
    except (OSError, RuntimeError) as error:
        if "ownload" not in f"{error}":
            raise
        raise SlimError(
            f"Arch.pretrained: the weights cannot be downloaded ({str(error).splitlines()[0][:120]}); set "
            "Arch.pretrained=False, or Global.pretrained_model to a file"
        ) from error


_build_model = ppcls_engine.build_model


def _is_unknown_arch(error: Exception, arch: Any) -> bool:
    names = {arch.get("name"), (arch.get("Backbone") or {}).get("name")}
    return any(name and f"'{name}'" in str(error) for name in names)


def _without_pretrained(arch: Any) -> None:
    for key, value in arch.items():
        if key == "pretrained":
            arch[key] = False
        elif isinstance(value, dict):
            _without_pretrained(value)


def _base_seed(config: Any) -> int:
    seed = config["Global"].get("seed")
    return int(seed) if seed or seed == 0 else random.SystemRandom().randrange(2**31)


def _log_quietly() -> None:
    """PaddleSlim and visualdl log at import time through the root logger; PaddleClas's lines are enough."""
    import logging

    logging.getLogger("visualdl").setLevel(logging.ERROR)
