"""A model without the filters that a plan removes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Optional

from ... import checkpoint as checkpoints
from ...checkpoint import Checkpoint, Metadata
from ...compat.distributed import broadcast_from_rank0
from ...compat.paddle import paddle
from ...compat.paddleclas.logger import logger
from ...config.prune import PruneConfig
from ...prune.importance.curve import importance_curves
from ...prune.plan import Plan
from ...prune.planning import make_plan
from ...prune.pruner import prune
from ...prune.reestimate_bn import reestimate_bn
from ...report.paper_flops import both_counts
from ...report.tables import plan_table
from .. import loading
from ..latency import latency_meter
from ..run import Run
from .base import State
from .quantized import Quantized


@dataclass(frozen=True)
class Pruned(State):
    """Filters are gone, as the plan says.

    Attributes:
        slices: the plan.
    """

    slices: Plan

    @property
    def plan(self) -> Optional[Plan]:
        """How it was pruned."""
        return self.slices

    @classmethod
    def from_dense(cls, model: paddle.nn.Layer, section: PruneConfig, run: Run) -> Pruned:
        """Decide what to remove from a dense model with its weights, and remove it.

        Raises:
            SlimError: nothing can be pruned as asked.
        """
        run.measure_dense(model)
        made = broadcast_from_rank0(
            lambda: make_plan(
                model,
                section,
                run.input_shape,
                run.device,
                lambda analysis: run.sensitivities(model, section, analysis),
                run.data,
                lambda: latency_meter(run.config, run.slim, model, logger.info),
            ).to_json()
        )
        state = cls(Plan.from_json(made))
        importance = importance_curves(model, state.slices)
        if importance:
            run.metadata.importance = importance
        state.rebuild(model)
        state.log(run)
        seen = reestimate_bn(model, run.training_data, run.feed, section.bn_batches)
        if seen:
            logger.info(f"ppcls_slim: running statistics of batch normalization estimated anew on {seen} batches")
        top1 = run.measure_compressed(model, "pruned", "before fine-tuning")
        if top1 is not None:
            run.metadata.top1_pruned = top1
        return state

    def rebuild(self, model: paddle.nn.Layer) -> None:
        """Remove the filters."""
        prune(model, self.slices)

    def restore(self, model: paddle.nn.Layer, checkpoint: Checkpoint, run: Run) -> None:
        """Follow the plan of the checkpoint, whatever the configuration says."""
        with loading.naming(checkpoint):
            self.rebuild(model)
        logger.info(f"ppcls_slim: following the plan of {checkpoint.weights} ({self._beside(run.slim.prune)})")
        loading.load_exactly(model, checkpoint)

    def begin(self, model: paddle.nn.Layer, run: Run) -> State:
        """Quantize where that is asked for."""
        return Quantized.from_float(model, self, run.slim.quant, run) if run.slim.quant is not None else self

    def sidecar(self, metadata: Metadata) -> dict[str, Any]:
        """The plan and the metadata."""
        return checkpoints.sidecar(self.slices, None, metadata)

    def log(self, run: Run) -> None:
        """Write the plan as a table into the log."""
        for line in plan_table(self.slices).splitlines():
            logger.info(line)
        section = PruneConfig.model_validate(self.slices.settings)
        counts = both_counts(run.config["Arch"]["name"], section, self.slices)
        if counts is not None:
            logger.info(f"ppcls_slim: {counts}")

    def _beside(self, section: Optional[PruneConfig]) -> str:
        if section is None:
            return "the configuration has no Slim.prune section"
        if section.model_dump(mode="json") == self.slices.settings:
            return "Slim.prune says the same"
        return "Slim.prune of the configuration differs and is not used"
