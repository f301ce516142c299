"""Schedules of the papers: filters are zeroed while the dense model trains, and removed when it is done.

*soft*: after every epoch filters are chosen and zeroed; until the next choice they may grow again (He et al., Soft
Filter Pruning, IJCAI 2018; FPGM, CVPR 2019, as its text says). *masked*: the first choice is made before training,
and gradients of the loss are masked where filters are zero until the next choice (FPGM, as its authors' program does
it: weight decay and the velocity that a filter had still move it until it is zeroed again).
"""

from __future__ import annotations

import abc
from collections.abc import Callable, Sequence
from typing import Optional

import numpy as np

from ...common.errors import SlimError
from ...compat.distributed import broadcast_from_rank0
from ...compat.paddle import paddle
from ...config.prune import PruneConfig, ScheduleConfig
from ...graph.model import tensors_of
from ..analysis import Analysis, analyse_model
from ..masking import fill_positions, mask_positions
from ..planning import assign_ratios, resolve_align
from ..ratios import Sensitivity, channel_counts
from .choose import Choice, Chosen, ConvolutionChoice, GroupChoice, Positions
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
        """
        if resumed is not None:
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


class SoftSchedule(Schedule):
    """Zeroed filters may grow again.

    Scales and shifts of their normalization, which are zeroed with them, are restored before every epoch: a ReLU
    would pass no gradient to a filter behind a scale and shift of zero.

    Attributes:
        affine: scales, shifts and biases that were zeroed -> their values before, group by group.
    """

    def __init__(self, config: PruneConfig, settings: ScheduleConfig, analysis: Analysis, choice: Choice) -> None:
        super().__init__(config, settings, analysis, choice)
        self.affine: dict[str, list[float]] = {}

    def start(self, model: paddle.nn.Layer, resumed: Optional[MaskState] = None) -> None:
        """See :meth:`Schedule.start`; the first choice is made after the first epoch."""
        super().start(model, resumed)
        if resumed is not None:
            self.affine = dict(resumed.affine)

    def restore_masked_affine(self, model: paddle.nn.Layer) -> None:
        """Restore masked scales, shifts and biases before an epoch."""
        tensors = tensors_of(model)
        left = {name: iter(values) for name, values in self.affine.items()}
        for name, axis, places in self.choice.positions(self.chosen or {}):
            if name in left:
                values = np.fromiter(left[name], np.float32, count=len(places))
                fill_positions(tensors[name], axis, places, values)

    def record(self) -> MaskState:
        """See :meth:`Schedule.record`."""
        return super().record().with_affine(self.affine)

    def _prepare(self, model: paddle.nn.Layer, positions: Positions) -> None:
        tensors = tensors_of(model)
        self.affine = {}
        for name, _, places in positions:
            if tensors[name].ndim == 1 and not tensors[name].stop_gradient:
                # Several groups have channels in a normalization behind a concatenation.
                self.affine.setdefault(name, []).extend(tensors[name].numpy()[places].tolist())


class MaskedSchedule(Schedule):
    """Gradients are masked where filters are zero."""

    def __init__(self, config: PruneConfig, settings: ScheduleConfig, analysis: Analysis, choice: Choice) -> None:
        super().__init__(config, settings, analysis, choice)
        self._masks: dict[str, paddle.Tensor] = {}

    def start(self, model: paddle.nn.Layer, resumed: Optional[MaskState] = None) -> None:
        """See :meth:`Schedule.start`; the first choice is made now."""
        super().start(model, resumed)
        if resumed is None:
            self.choose_and_zero(model)
        else:
            self._prepare(model, self.choice.positions(resumed.chosen))
        for name, parameter in model.named_parameters():
            if not parameter.stop_gradient:
                parameter.register_hook(self._gradient_hook(name))

    def _prepare(self, model: paddle.nn.Layer, positions: Positions) -> None:
        self._masks.clear()
        parameters = dict(model.named_parameters())
        for name, axis, places in positions:
            if name not in parameters or parameters[name].stop_gradient:
                continue  # running statistics
            shape = [1] * len(parameters[name].shape)
            shape[axis] = -1
            mask = np.ones(parameters[name].shape[axis], dtype=np.float32)
            mask[places] = 0
            mask = paddle.to_tensor(mask.reshape(shape)).astype(parameters[name].dtype)
            self._masks[name] = self._masks[name] * mask if name in self._masks else mask

    def _gradient_hook(self, name: str) -> Callable[[paddle.Tensor], paddle.Tensor]:
        def hook(gradient: paddle.Tensor) -> paddle.Tensor:
            return gradient * self._masks[name] if name in self._masks else gradient

        return hook


SCHEDULES: dict[str, type[Schedule]] = {"soft": SoftSchedule, "masked": MaskedSchedule}


def make_schedule(
    model: paddle.nn.Layer,
    config: PruneConfig,
    input_shape: Sequence[int],
    device: str,
    sensitivity_of: Callable[[Analysis], Sensitivity],
) -> Schedule:
    """Analyse a dense model and assign ratios to its groups; nothing is zeroed yet.

    Args:
        model: dense.
        config: the ``Slim.prune`` section, with ``schedule``.
        input_shape: ``[C, H, W]``; the section's own ``input_shape`` overrides it.
        device: ``Global.device``, which sets the default of ``align``.
        sensitivity_of: returns the losses of accuracy, called if ``sensitivity_file`` is set.

    Raises:
        SlimError: see :func:`ppcls_slim.prune.planning.make_plan`; or nothing would be zeroed.
    """
    if config.schedule is None:
        raise ValueError("Slim.prune has no schedule")
    analysis = analyse_model(model, config, input_shape)
    align, _ = resolve_align(config, device)
    sensitivity = sensitivity_of(analysis) if config.sensitivity_file else None
    group_ratios = assign_ratios(config, analysis, align, sensitivity)
    if not any(channel_counts(analysis.groups, group_ratios, align)):
        raise SlimError("Slim.prune.schedule would zero nothing: raise the ratio, lower align, or remove the section")
    choice: Choice = GroupChoice(config, analysis, group_ratios, align)
    if config.schedule.layers == CONVOLUTIONS:
        choice = ConvolutionChoice(config, analysis)
    return SCHEDULES[config.schedule.name](config, config.schedule, analysis, choice)
