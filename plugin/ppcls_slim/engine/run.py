"""What the states of a model need to know of a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ..checkpoint import Checkpoint, Metadata
from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger, say
from ..compat.paddleclas.types import ClasConfig
from ..config.prune import PruneConfig
from ..config.section import SlimConfig
from ..prune.analysis import Analysis
from ..prune.importance import TrainingData
from ..prune.ratios import Sensitivity
from ..prune.sensitivity import sensitivities
from ..prune.step import Step
from .training_batches import training_data


@dataclass(frozen=True)
class Run:
    """One training, evaluation, prediction or export.

    Attributes:
        config: PaddleClas configuration, before the engine consumes parts of it.
        slim: the ``Slim`` section.
        mode: ``train``, ``eval``, ``infer`` or ``export``.
        pretrained: ``Global.pretrained_model``.
        resumed: ``Global.checkpoints`` of a training, which takes precedence.
        metadata: what the checkpoint knows, and this run adds.
        top1: measures a model on the evaluation data; None where there is none for classification.
        training_data: batches, for calibration.
        feed: gives a model a batch.
        loss: ``Loss.Train``, of an output and labels; None outside training.
        step: of ``Slim.prune.steps`` that this training is; None where it is not one of them.
    """

    config: ClasConfig
    slim: SlimConfig
    mode: str
    pretrained: Optional[Checkpoint]
    resumed: Optional[Checkpoint]
    metadata: Metadata
    top1: Optional[Callable[[paddle.nn.Layer], float]]
    training_data: Iterable[Any]
    feed: Callable[[paddle.nn.Layer, Any], Any]
    loss: Optional[Callable[[Any, paddle.Tensor], Mapping[str, paddle.Tensor]]] = None
    step: Optional[Step] = None

    @property
    def checkpoint(self) -> Optional[Checkpoint]:
        """What the weights come from."""
        return self.resumed or self.pretrained

    @property
    def input_shape(self) -> Sequence[int]:
        """``[C, H, W]``."""
        shape: Sequence[int] = self.config["Global"]["image_shape"]
        return shape

    @property
    def trains(self) -> bool:
        """Whether an epoch follows; with ``Global.epochs: 0`` the model is used as it was calibrated."""
        return int(self.config["Global"].get("epochs", 0)) > 0

    @property
    def device(self) -> str:
        """``cpu``, ``gpu`` or another."""
        return str(self.config["Global"]["device"])

    @property
    def data(self) -> Optional[TrainingData]:
        """Training batches with their loss; None outside training."""
        return None if self.loss is None else training_data(self.config, self.training_data, self.feed, self.loss)

    @property
    def gives_features(self) -> bool:
        """Whether the exported model gives an embedding, which has no largest class."""
        arch, section = self.config["Arch"], self.config["Global"]
        return bool(arch.get("infer_output_key") == "features" or section.get("eval_mode") == "retrieval")

    def measure_dense(self, model: paddle.nn.Layer) -> None:
        """With ``Slim.report``: note the top-1 of the model that is about to be compressed, unless it is known."""
        if self.slim.report is not None and self.top1 is not None and self.metadata.top1_dense is None:
            self.metadata.top1_dense = self.top1(model)

    def measure_compressed(self, model: paddle.nn.Layer, word: str, moment: str) -> Optional[float]:
        """Top-1 of the model that was just compressed, beside that of the dense one; None where that is not known."""
        dense = self.metadata.top1_dense
        if self.top1 is None or dense is None:
            return None
        compressed = self.top1(model)
        say(f"ppcls_slim: top-1 {100 * dense:.2f} % dense, {100 * compressed:.2f} % {word}, {moment}")
        return compressed

    def sensitivities(self, model: paddle.nn.Layer, section: PruneConfig, analysis: Analysis) -> Sensitivity:
        """Read ``sensitivity_file``, or compute and write it.

        Raises:
            SlimError: it does not exist, and there is no evaluation data.
        """
        if section.sensitivity_file is None:
            return {}
        path, top1 = Path(section.sensitivity_file), self.top1
        if path.exists() and top1 is None:
            top1 = _no_data
        if top1 is None:
            raise SlimError(
                f"Slim.prune.sensitivity_file: {path} does not exist, and computing it needs "
                "Global.eval_during_train and evaluation data for classification"
            )
        measure = top1
        if not path.exists():
            say(f"ppcls_slim: measuring how sensitive layers are to pruning, on the evaluation data, into {path}")
        return sensitivities(path, model, analysis, section.name, lambda: measure(model), logger.info)


def _no_data(model: paddle.nn.Layer) -> float:
    raise SlimError("Slim.prune.sensitivity_file lacks layers, and there is no evaluation data to measure them on")
