"""A model of which filters are zero and still in place: the schedules *soft* and *masked*."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ... import checkpoint as checkpoints
from ...checkpoint import Checkpoint, Metadata
from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...compat.paddleclas.logger import say
from ...config.prune import PruneConfig
from ...prune.schedules.mask_state import MaskState
from ...prune.schedules.remove_masked import remove_masked
from ...prune.schedules.schedule import Schedule, make_schedule
from .. import loading
from ..build import build_untrained
from ..hooks import Hook, Masking
from ..progress import Progress
from ..run import Run
from .base import State
from .pruned import Pruned

PRUNED_MODEL = "pruned_model"


@dataclass(frozen=True)
class Masked(State):
    """A checkpoint of a training with ``Slim.prune.schedule``: its layers are the dense model's.

    Attributes:
        masks: what is zero.
        weights: the file, for messages.
    """

    masks: MaskState
    weights: Path

    def rebuild(self, model: paddle.nn.Layer) -> None:
        """Nothing is gone yet."""

    def restore(self, model: paddle.nn.Layer, checkpoint: Checkpoint, run: Run) -> None:
        """Load the weights, zeros included."""
        loading.load_exactly(model, checkpoint)

    def begin(self, model: paddle.nn.Layer, run: Run) -> State:
        """Go on masking where the training is resumed; else take out what is zero."""
        section = run.slim.prune
        if run.resumed is not None and section is not None:
            return MaskedTraining.start(model, section, run, self.masks)
        pruned = self.remove(model)
        say(f"ppcls_slim: removing the filters that are zero in {self.weights}")
        pruned.log(run)
        return pruned.begin(model, run)

    def remove(self, model: paddle.nn.Layer) -> Pruned:
        """Take the filters that are zero out of a model that has the weights, in place.

        Raises:
            SlimError: they belong to another model, or none of them can be removed.
        """
        try:
            return Pruned(remove_masked(model, self.masks))
        except SlimError as error:
            raise SlimError(f"{self.weights}: {error}") from None

    def sidecar(self, metadata: Metadata) -> dict[str, Any]:
        """What is zero, and the metadata."""
        return checkpoints.sidecar(None, None, metadata, self.masks)


@dataclass(frozen=True)
class MaskedTraining(State):
    """A training with ``Slim.prune.schedule``.

    Attributes:
        schedule: chooses filters, zeroes them, and knows which are zero.
    """

    schedule: Schedule

    @classmethod
    def start(
        cls, model: paddle.nn.Layer, section: PruneConfig, run: Run, resumed: Optional[MaskState] = None
    ) -> MaskedTraining:
        """Make the schedule, and begin, or go on with the choice that a checkpoint was saved with.

        Raises:
            SlimError: nothing would be zeroed.
        """
        schedule = make_schedule(
            model,
            section,
            run.input_shape,
            run.device,
            lambda analysis: run.sensitivities(model, section, analysis),
        )
        schedule.start(model, resumed)
        say(f"ppcls_slim: {schedule.summary()}")
        return cls(schedule)

    def rebuild(self, model: paddle.nn.Layer) -> None:
        """Nothing is gone yet."""

    def restore(self, model: paddle.nn.Layer, checkpoint: Checkpoint, run: Run) -> None:
        """Load the weights, zeros included."""
        loading.load_exactly(model, checkpoint)

    def begin(self, model: paddle.nn.Layer, run: Run) -> State:
        """It has begun."""
        return self

    def sidecar(self, metadata: Metadata) -> dict[str, Any]:
        """What is zero now, and the metadata."""
        return checkpoints.sidecar(None, None, metadata, self.schedule.record())

    def hooks(self, metadata: Metadata, progress: Progress) -> list[Hook]:
        """Choose and zero filters after every epoch."""
        return [Masking(self.schedule, metadata)]

    def finish(self, run: Run, progress: Progress) -> State:
        """Write the best model once more, under the name ``pruned_model``, without the filters that are zero."""
        best, folder = progress.best_checkpoint, progress.folder
        if best is None or folder is None:
            say("ppcls_slim: no checkpoint was saved, so there is nothing to remove filters from")
            return self
        checkpoint = checkpoints.open_checkpoint(str(best), "the best model")
        if checkpoint.masked is None:
            raise SlimError(f"{checkpoint.weights} lacks its .slim.json, which says what is zero: restore it")
        model = build_untrained(run.config)
        checkpoints.load_exactly(model, checkpoints.read_weights(checkpoint), checkpoint.weights)
        pruned = Masked(checkpoint.masked, checkpoint.weights).remove(model)

        def write(writing: Path) -> None:
            paddle.save(model.state_dict(), str(writing / f"{PRUNED_MODEL}{checkpoints.WEIGHTS}"))
            checkpoints.write_safetensors(model.state_dict(), writing / f"{PRUNED_MODEL}{checkpoints.SAFETENSORS}")

        checkpoints.save(folder, PRUNED_MODEL, write, pruned.sidecar(checkpoint.metadata))
        progress.saved[PRUNED_MODEL] = folder / PRUNED_MODEL
        pruned.log(run)
        say(f"ppcls_slim: {best} without its zeroed filters: {progress.saved[PRUNED_MODEL]}")
        return pruned
