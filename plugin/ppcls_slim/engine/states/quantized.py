"""A model with fake quantizers, dense or pruned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from ... import checkpoint as checkpoints
from ...checkpoint import Checkpoint, Metadata
from ...common.console import console
from ...common.errors import naming
from ...compat.paddle import paddle
from ...compat.paddleclas.logger import logger, say
from ...config.quant import QuantConfig
from ...prune.plan import Plan
from ...quant import convert, prepare
from ...quant.alpha_history import note_alphas
from ...quant.record import QuantRecord
from .. import loading
from ..costly_layers import find_costly_layers
from ..hooks import Alphas, Hook
from ..progress import Progress
from ..run import Run
from .base import State


@dataclass(frozen=True)
class Quantized(State):
    """A float model whose layers quantize their inputs and weights, as the record says.

    Attributes:
        float_state: what it was before: dense or pruned.
        record: how it was quantized.
    """

    float_state: State
    record: QuantRecord

    @property
    def plan(self) -> Optional[Plan]:
        """How it was pruned before."""
        return self.float_state.plan

    @property
    def quant(self) -> Optional[QuantRecord]:
        """How it was quantized."""
        return self.record

    @classmethod
    def from_float(cls, model: paddle.nn.Layer, float_state: State, settings: QuantConfig, run: Run) -> Quantized:
        """Quantize a model that has its float weights (they do not fit the names of a quantized model).

        Raises:
            SlimError: nothing can be quantized as asked.
        """
        run.measure_dense(model)
        data, shape = run.training_data, run.input_shape
        left_float = find_costly_layers(model, settings, run) if settings.skips_costly_layers else {}
        record = prepare.quantize(
            model, settings, data, lambda batch: run.feed(model, batch), run.trains, shape, left_float
        )
        note_alphas(model, record, 0, run.metadata.alpha_history())
        _tell(record.summary())
        for name, reason in record.skipped_layers.items():
            logger.info(f"ppcls_slim:   {name} stays float: {reason}")
        top1 = run.measure_compressed(model, "quantized", "before training")
        if top1 is not None:
            run.metadata.top1_calibrated = top1
        return cls(float_state, record)

    def rebuild(self, model: paddle.nn.Layer) -> None:
        """Prune the model where it was pruned, and put the quantizers in."""
        self.float_state.rebuild(model)
        prepare.rebuild(model, self.record)

    def restore(self, model: paddle.nn.Layer, checkpoint: Checkpoint, run: Run) -> None:
        """Rebuild the model as the checkpoint says, whatever the configuration says."""
        with naming(checkpoint.weights):
            self.record.check_user_classes(run.slim.quant)
            self.rebuild(model)
        loading.load_exactly(model, checkpoint)
        if self.plan is not None:
            say(f"ppcls_slim: following the plan of {checkpoint.weights}")
        _tell(self.record.summary(), f", as {checkpoint.weights} was")

    def begin(self, model: paddle.nn.Layer, run: Run) -> State:
        """Nothing can follow quantization."""
        return self

    def sidecar(self, metadata: Metadata) -> dict[str, Any]:
        """The record, the plan, and the metadata."""
        return checkpoints.sidecar(self.plan, self.record, metadata)

    def hooks(self, metadata: Metadata, progress: Progress) -> list[Hook]:
        """Watch the alphas."""
        return [Alphas(self.record, metadata, progress)]

    def for_int8(self, trained: paddle.nn.Layer, dense: paddle.nn.Layer) -> paddle.nn.Layer:
        """Make the model that is exported in int8, with the trained scales and weights.

        Args:
            trained: this state's model.
            dense: untrained; becomes the result.

        Raises:
            SlimError: int8 cannot express what was trained.
        """
        with paddle.utils.unique_name.guard():
            self.float_state.rebuild(dense)
        return convert.int8_model(trained, dense, self.record)


def _tell(summary: str, more: str = "") -> None:
    """Log it; the export behind a training does not show it again."""
    tell = say if console.is_new(summary) else logger.info
    tell(f"ppcls_slim: {summary}{more}")
