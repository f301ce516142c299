"""What soft and masked pruning have in common: filters are chosen and zeroed again and again."""

from __future__ import annotations

import abc
from typing import Optional

from ...common.errors import SlimError
from ...compat.distributed import broadcast_from_rank0
from ...compat.paddle import paddle
from ...config.prune import PruneConfig, ScheduleConfig
from ...graph.model import tensors_of
from ..analysis import Analysis
from ..masking import mask_positions
from .choose import Choice, Chosen, Positions, maskable_positions
from .mask_state import CONVOLUTIONS, MaskState


class Schedule(abc.ABC):
    """A training in which filters are chosen and zeroed again and again.

    Args:
        config: the ``Slim.prune`` section.
        settings: its ``schedule``.
        analysis: of the dense model.
        choice: chooses what is zeroed.

    Attributes:
        chosen: what is zero now; None before the first choice.
    """

    def __init__(self, config: PruneConfig, settings: ScheduleConfig, analysis: Analysis, choice: Choice) -> None:
        self.config = config
        self.settings = settings
        self.analysis = analysis
        self.choice = choice
        self.chosen: Optional[Chosen] = None

    def start(self, model: paddle.nn.Layer, resumed: Optional[MaskState] = None) -> None:
        """Begin before the first epoch, or go on with what a checkpoint was saved with.

        Args:
            model: dense, with its weights.
            resumed: from the checkpoint.

        Raises:
            SlimError: what was zeroed belongs to another model, or to other ``layers``.
        """
        if resumed is not None:
            if resumed.layers != self.settings.layers:
                raise SlimError(
                    f"Slim.prune.schedule.layers: the checkpoint was trained with {resumed.layers}: set it"
                )
            resumed.check_fits(maskable_positions(self.analysis, resumed.layers))
            self.chosen = dict(resumed.chosen)

    def choose_and_zero(self, model: paddle.nn.Layer) -> int:
        """Choose by the weights as they are, zero what is chosen, and return how many filters were not chosen before.

        In distributed training the choice of rank 0 applies to all processes.
        """
        before = self.chosen
        self.chosen = broadcast_from_rank0(lambda: self.choice.choose(model))
        positions = self.choice.positions(self.chosen)
        self._prepare(model, positions)
        tensors = tensors_of(model)
        for name, axis, places in positions:
            mask_positions(tensors[name], name, axis, places)
        if before is None:
            return 0
        return sum(len(set(new) - set(before.get(name, ()))) for name, new in self.chosen.items())

    def restore_masked_affine(self, model: paddle.nn.Layer) -> None:  # noqa: B027  only soft pruning does something
        """Restore masked scales, shifts and biases before an epoch, if the schedule lets filters grow again."""

    def record(self) -> MaskState:
        """Return what is zero now."""
        settings, shape = self.config.model_dump(mode="json"), self.analysis.input_shape
        return MaskState(self.settings.layers, dict(self.chosen or {}), settings, shape)

    def summary(self) -> str:
        """Return one line for the log."""
        what = "every convolution's filters" if self.settings.layers == CONVOLUTIONS else "channels"
        zeroed = sum(map(len, (self.chosen or {}).values()))
        return (
            f"{self.settings.name} pruning by {self.config.name}: {what} are zeroed after every epoch, {zeroed} now"
        )

    @abc.abstractmethod
    def _prepare(self, model: paddle.nn.Layer, positions: Positions) -> None:
        """Do what the schedule needs between the choice and zeroing it."""
