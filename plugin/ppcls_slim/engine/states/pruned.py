"""A model without the filters that a plan removes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Optional

from ... import checkpoint as checkpoints
from ...checkpoint import Checkpoint, Metadata
from ...common.console import console
from ...common.errors import SlimError, naming
from ...compat.distributed import broadcast_from_rank0
from ...compat.paddle import paddle
from ...compat.paddleclas.logger import logger, say
from ...config.prune import PruneConfig
from ...prune.importance.curve import importance_curves
from ...prune.plan import Plan
from ...prune.planning import make_plan
from ...prune.pruner import prune, prune_further
from ...prune.reestimate_bn import reestimate_bn
from ...prune.remaining import Earlier
from ...report.paper_flops import both_counts
from ...report.tables import plan_table, summary_lines
from .. import loading
from ..build import build_untrained
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
        state = cls(_plan(model, section, run))
        importance = importance_curves(model, state.slices)
        if importance:
            run.metadata.importance = importance
        state.rebuild(model)
        state._adapt(model, section, run)
        return state

    def further(self, model: paddle.nn.Layer, section: PruneConfig, run: Run) -> Pruned:
        """Decide what to remove in the next of ``Slim.prune.steps`` from a model with its weights, and remove it.

        Raises:
            SlimError: it cannot be pruned as far as asked.
        """
        state = Pruned(_plan(build_untrained(run.config), section, run, Earlier(model, self.slices)))
        prune_further(model, self.slices, state.slices)
        state._adapt(model, section, run)
        return state

    def rebuild(self, model: paddle.nn.Layer) -> None:
        """Remove the filters."""
        prune(model, self.slices)

    def restore(self, model: paddle.nn.Layer, checkpoint: Checkpoint, run: Run) -> None:
        """Follow the plan of the checkpoint, whatever the configuration says."""
        with naming(checkpoint.weights):
            self.rebuild(model)
        say(f"ppcls_slim: following the plan of {checkpoint.weights} ({self._beside(run.slim.prune)})")
        loading.load_exactly(model, checkpoint)

    def begin(self, model: paddle.nn.Layer, run: Run) -> State:
        """Prune in the next step, or quantize, where that is asked for."""
        section, step = run.slim.prune, run.step
        if step is None:
            pruned = Pruned(replace(self.slices, step=None))  # what follows is not one of its steps
            return Quantized.from_float(model, pruned, run.slim.quant, run) if run.slim.quant is not None else pruned
        if run.resumed is None:
            return self.further(model, section, run) if section is not None else self
        if step != self.slices.step:
            of = self.slices.step or "a training without steps"
            raise SlimError(
                f"Slim.prune.steps: {run.resumed.weights} is of {of}, and {step} is to be resumed: "
                "set steps as it was, or empty Global.output_dir to start anew"
            )
        return self

    def sidecar(self, metadata: Metadata) -> dict[str, Any]:
        """The plan and the metadata."""
        return checkpoints.sidecar(self.slices, None, metadata)

    def log(self, run: Run) -> None:
        """Write the plan as a table into the log."""
        for line in plan_table(self.slices).splitlines():
            logger.info(line)
        for line in summary_lines(self.slices):  # the log has them below the table
            console.tell(line)
        section = PruneConfig.model_validate(self.slices.settings)
        counts = both_counts(run.config["Arch"]["name"], section, self.slices)
        if counts is not None:
            logger.info(f"ppcls_slim: {counts}")

    def _adapt(self, model: paddle.nn.Layer, section: PruneConfig, run: Run) -> None:
        """Show the plan, and let batch normalization adapt to a model that was just pruned."""
        if run.step is not None:
            tell = say if run.step.number == 1 else logger.info  # later ones are announced with their epochs
            tell(f"ppcls_slim: {run.step} of pruning")
        self.log(run)
        seen = reestimate_bn(model, run.training_data, run.feed, section.bn_batches)
        if seen:
            logger.info(f"ppcls_slim: running statistics of batch normalization estimated anew on {seen} batches")
        top1 = run.measure_compressed(model, "pruned", "before fine-tuning")
        if top1 is not None:
            run.metadata.top1_pruned = top1

    def _beside(self, section: Optional[PruneConfig]) -> str:
        if section is None:
            return "the configuration has no Slim.prune section"
        defaults = PruneConfig(pruned_ratio=0.5).model_dump(mode="json")  # of keys that older versions did not have
        if section.model_dump(mode="json") == {**defaults, **self.slices.settings}:
            return "Slim.prune says the same"
        return "Slim.prune of the configuration differs and is not used"


def _plan(dense: paddle.nn.Layer, section: PruneConfig, run: Run, earlier: Optional[Earlier] = None) -> Plan:
    """Make the plan in the first process, for all."""
    made = broadcast_from_rank0(
        lambda: make_plan(
            dense,
            section,
            run.input_shape,
            run.device,
            lambda analysis: run.sensitivities(dense, section, analysis),
            run.data,
            lambda: latency_meter(run.config, run.slim, dense, say),
            run.step,
            earlier,
        ).to_json()
    )
    return replace(Plan.from_json(made), step=run.step)
