"""A model as PaddleClas builds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from ... import checkpoint as checkpoints
from ...checkpoint import Checkpoint, Metadata
from ...compat.paddle import paddle
from ...compat.paddleclas.logger import logger, say
from .. import loading
from ..random_weights import random_weights_warnings
from ..run import Run
from .base import State
from .masked import MaskedTraining
from .pruned import Pruned
from .quantized import Quantized


@dataclass(frozen=True)
class Dense(State):
    """Nothing was pruned or quantized."""

    fetches_pretrained: ClassVar[bool] = True

    def rebuild(self, model: paddle.nn.Layer) -> None:
        """It is dense already."""

    def restore(self, model: paddle.nn.Layer, checkpoint: Checkpoint, run: Run) -> None:
        """Load what fits."""
        untrained_head = run.mode == "train" or run.gives_features
        loading.load_what_fits(model, checkpoint, run.config, untrained_head)

    def begin(self, model: paddle.nn.Layer, run: Run) -> State:
        """Prune and quantize as the ``Slim`` section asks for."""
        section, settings = run.slim.prune, run.slim.quant
        for warning in random_weights_warnings(run.config, run.slim, run.checkpoint):
            logger.warning(f"ppcls_slim: {warning}")
            run.metadata.warnings = [*(run.metadata.warnings or []), warning]
        if section is not None and section.schedule is not None:
            run.measure_dense(model)
            return MaskedTraining.start(model, section, run)
        state = Pruned.from_dense(model, section, run) if section is not None else self
        if settings is not None:
            return Quantized.from_float(model, state, settings, run)
        if state is self:
            say("ppcls_slim: no Slim section and no plan in the checkpoint: the model stays dense")
        return state

    def sidecar(self, metadata: Metadata) -> dict[str, Any]:
        """The metadata."""
        return checkpoints.sidecar(None, None, metadata)
