"""The papers' schedules: filters are zeroed while the dense network trains, and removed when it is done.

*soft*: after every epoch filters are chosen and zeroed; until the next choice they may grow back (He et al., Soft
Filter Pruning, IJCAI 2018; FPGM, CVPR 2019, as its text says). *masked*: besides, the first choice is made before
training, and the gradients of the loss for what is zero are masked until the next choice (FPGM, as its authors'
program does it: weight decay and the velocity that a filter had still move it until it is zeroed again).

What is zeroed is ``layers``: *groups*, everything that produces a channel that the plugin can remove, scale and shift
of its normalization included, so that the channel is silent and removing it changes nothing (*soft* puts scale and
shift back for the next epoch: a ReLU would let nothing through to a filter behind them); or *convolutions*, as
the authors' program: the filters of every convolution by itself and nothing else. Behind such a filter the shift of
the normalization still adds a constant; see :mod:`.constants` for how the channel goes all the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...common.errors import SlimError
from ...common.name_patterns import expand
from ...compat.distributed import broadcast_from_rank0
from ...compat.paddle import paddle
from ...config.section import PruneConfig
from .. import importance
from ..apply import tensors_of
from ..dependency.groups import Group, layer_of
from ..plan import Plan
from ..pruner import Analysis, analyse_model, choose_lowest, kept_channels, plan_of_kept, prune, resolve_align
from ..ratios import GroupRatio, Sensitivity, assign_ratios, counts
from .constant_channels import merge_constants
from .mask_state import CONVOLUTIONS, GROUPS, MaskState


@dataclass
class Schedule:
    """A training in which filters are chosen again and again.

    Attributes:
        config: the ``Slim.prune`` section, with ``schedule``.
        analysis: of the dense model.
        ratios_of_groups: what each group is asked to give up.
        align: multiple that kept channels are rounded to, for ``groups``.
        chosen: the choice in force, as in :class:`MaskState`; None before the first.
        held: soft only: scales, shifts and biases that were zeroed, as they were; parameter -> values.
    """

    config: PruneConfig
    analysis: Analysis
    ratios_of_groups: Sequence[GroupRatio]
    align: int
    chosen: dict[str, tuple[int, ...]] | None = None
    held: dict[str, list[float]] = field(default_factory=dict)
    _keep: dict[str, paddle.Tensor] = field(default_factory=dict)

    def start(self, model: paddle.nn.Layer, resumed: MaskState | None = None) -> None:
        """Begin, or go on with the choice that a checkpoint was saved with.

        Args:
            model: dense, with its weights.
            resumed: from the checkpoint.
        """
        masked = self._schedule.name == "masked"
        if resumed is not None:
            self.chosen, self.held = dict(resumed.chosen), dict(resumed.held)
        elif masked:
            self.choose_and_zero(model)
        if masked:
            self._remember_masks(model)
            for name, parameter in model.named_parameters():
                if not parameter.stop_gradient:
                    parameter.register_hook(self._masking(name))

    def choose_and_zero(self, model: paddle.nn.Layer) -> int:
        """Choose by the weights as they are, zero what is chosen, and return how many choices changed."""
        before = self.chosen
        self.chosen = broadcast_from_rank0(lambda: self._choose(model))
        tensors = tensors_of(model)
        self.held.clear()
        for name, axis, positions in self._slices(self.chosen):
            if self._schedule.name == "soft" and tensors[name].ndim == 1 and not tensors[name].stop_gradient:
                self.held[name] = tensors[name].numpy()[positions].tolist()
            fill_positions(tensors[name], axis, positions, 1.0 if name.endswith("_variance") else 0.0)
        if self._schedule.name == "masked":
            self._remember_masks(model)
        if before is None:
            return 0
        return sum(len(set(new) - set(before.get(name, ()))) for name, new in self.chosen.items())

    def restore_masked_affine(self, model: paddle.nn.Layer) -> None:
        """Soft: put scales, shifts and biases back before an epoch, so that zeroed filters can grow."""
        tensors = tensors_of(model)
        for name, axis, positions in self._slices(self.chosen or {}):
            if name in self.held:
                fill_positions(tensors[name], axis, positions, np.asarray(self.held[name], dtype=np.float32))

    def record(self) -> MaskState:
        """What is zero now."""
        settings = self.config.model_dump(mode="json")
        chosen, shape = dict(self.chosen or {}), self.analysis.input_shape
        return MaskState(self._schedule.layers, chosen, settings, shape, dict(self.held))

    def summary(self) -> str:
        """One line for the log."""
        what = "every convolution's filters" if self._schedule.layers == CONVOLUTIONS else "channels"
        zeroed = sum(map(len, (self.chosen or {}).values()))
        return (
            f"{self._schedule.name} pruning by {self.config.name}: {what} are zeroed after every epoch, {zeroed} now"
        )

    @property
    def _schedule(self) -> Any:
        return self.config.schedule

    def _choose(self, model: paddle.nn.Layer) -> dict[str, tuple[int, ...]]:
        if self._schedule.layers == CONVOLUTIONS:
            return choose_in_convolutions(model, self.config, self.analysis.convolutions)
        groups = self.analysis.grouping.groups
        kept = kept_channels(
            model, importance.get(self.config.name), groups, self.ratios_of_groups, self.align, self.config.norm_ratio
        )
        gone = (tuple(np.flatnonzero(~keep).tolist()) for keep in kept)
        return {group.root_weights[0]: channels for group, channels in zip(groups, gone) if channels}

    def _slices(self, chosen: Mapping[str, Sequence[int]]) -> list[tuple[str, int, np.ndarray]]:
        """(parameter or buffer, axis, positions) of everything that is zeroed."""
        if self._schedule.layers == CONVOLUTIONS:
            return [(name, 0, np.asarray(positions)) for name, positions in chosen.items()]
        return [
            (member.param, member.axis, np.flatnonzero(np.isin(member.index, chosen[group.root_weights[0]])))
            for group in self.analysis.grouping.groups
            if group.root_weights[0] in chosen
            for member in group.members
            if member.produces
        ]

    def _remember_masks(self, model: paddle.nn.Layer) -> None:
        self._keep.clear()
        parameters = dict(model.named_parameters())
        for name, axis, positions in self._slices(self.chosen or {}):
            if name not in parameters or parameters[name].stop_gradient:
                continue  # running statistics
            shape = [1] * len(parameters[name].shape)
            shape[axis] = -1
            keep = np.ones(parameters[name].shape[axis], dtype=np.float32)
            keep[positions] = 0
            keep = paddle.to_tensor(keep.reshape(shape)).astype(parameters[name].dtype)
            self._keep[name] = self._keep[name] * keep if name in self._keep else keep

    def _masking(self, name: str) -> Any:
        def mask(gradient: paddle.Tensor) -> paddle.Tensor:
            return gradient * self._keep[name] if name in self._keep else gradient

        return mask


def make_schedule(
    model: paddle.nn.Layer,
    config: PruneConfig,
    input_shape: Sequence[int],
    device: str,
    sensitivity_of: Callable[[Analysis], Sensitivity],
) -> Schedule:
    """Analyse a dense model and see what its groups are to give up; nothing is zeroed yet.

    Raises:
        SlimError: as :func:`.pruner.make_plan`.
    """
    analysis = analyse_model(model, config, input_shape)
    align, _ = resolve_align(config, device)
    sensitivity = sensitivity_of(analysis) if config.sensitivity_file else None
    ratios_of_groups = assign_ratios(
        config, analysis.grouping, analysis.convolutions, analysis.cost, analysis.shapes, align, sensitivity
    )
    schedule = Schedule(config, analysis, ratios_of_groups, align)
    if not any(counts(analysis.grouping.groups, ratios_of_groups, align)):
        raise SlimError("Slim.prune.schedule would zero nothing: raise the ratio, lower align, or remove the section")
    return schedule


def choose_in_convolutions(
    model: paddle.nn.Layer, config: PruneConfig, convolutions: Sequence[str]
) -> dict[str, tuple[int, ...]]:
    """Choose in every convolution by itself, ``int(N * ratio)`` filters, as the authors' program counts.

    With ``norm_ratio``, ``int(N * norm_ratio)`` of them by their norm and ``int(N * (ratio - norm_ratio))`` by the
    criterion among the others.
    """
    asked = expand(config.ratios, convolutions, "Slim.prune.ratios")
    skipped = expand(config.skip, convolutions, "Slim.prune.skip")
    tensors, chosen = model.state_dict(), {}
    for layer in convolutions:
        ratio = config.ratios[asked[layer]] if layer in asked else config.pruned_ratio or 0.0
        weight = tensors[f"{layer}.weight"].numpy()
        # The quotient of two decimal numbers may fall just below a whole number.
        by_norm, by_criterion = (
            int(round(len(weight) * part, 9)) for part in (config.norm_ratio, ratio - config.norm_ratio)
        )
        if layer in skipped or ratio <= 0 or by_norm + by_criterion == 0:
            continue
        if not np.isfinite(weight).all():
            raise SlimError(f"{layer} has weights that are not finite: lower the learning rate")
        channel_index = np.arange(len(weight))
        filters = choose_lowest(importance.get(config.name), weight, channel_index, by_norm + by_criterion, by_norm)
        chosen[f"{layer}.weight"] = tuple(int(i) for i in np.sort(filters))
    return chosen


def fill_positions(tensor: paddle.Tensor, axis: int, positions: np.ndarray, fill: np.ndarray | float) -> None:
    """Set positions along an axis to a value, or to one value each."""
    value = tensor.numpy().copy()
    np.moveaxis(value, axis, 0)[positions] = fill
    tensor.set_value(value)


def remove_masked(model: paddle.nn.Layer, zeroed: MaskState) -> Plan:
    """ParamSlice what is zero out of a dense model with its weights, in place; it computes the same afterwards.

    Raises:
        SlimError: the record belongs to another model, or nothing of it can be removed.
    """
    config = PruneConfig.model_validate(zeroed.settings)
    analysis = analyse_model(model, config, zeroed.input_shape)
    groups, shapes = analysis.grouping.groups, analysis.shapes
    for name, positions in zeroed.chosen.items():
        if name not in shapes or max(positions, default=0) >= max(shapes[name]):
            raise SlimError(
                f"zeroed filters of {name}, which the model does not have. Is Arch the one that was pruned?"
            )
    if zeroed.layers == GROUPS:
        kept = [_without(group.prunable_channels, zeroed.chosen.get(group.root_weights[0], ())) for group in groups]
    else:
        kept = [_silent_channels(group, zeroed.chosen, analysis) for group in groups]
        kept = merge_constants(model, groups, kept, zeroed.input_shape)
    ratios_of_groups = [GroupRatio(config.pruned_ratio or 0.0) for _ in groups]
    plan = plan_of_kept(analysis, model, config, kept, ratios_of_groups, 1, "filters that training had zeroed")
    if not plan.slices.params:
        raise SlimError("none of the zeroed filters belongs to a channel that can be removed: use layers: groups")
    prune(model, plan)
    return plan


def _without(channels: int, gone: Sequence[int]) -> np.ndarray:
    keep = np.ones(channels, dtype=bool)
    keep[list(gone)] = False
    return keep


def _silent_channels(group: Group, chosen: Mapping[str, Sequence[int]], analysis: Analysis) -> np.ndarray:
    """bool ``[channels]``: False where every convolution that produces the channel has its filters zero."""
    zero = np.ones(group.prunable_channels, dtype=bool)
    for member in group.members:
        if member.produces and layer_of(member.param) in analysis.convolutions and member.param.endswith(".weight"):
            filters = np.isin(np.arange(len(member.index)), chosen.get(member.param, ()))
            zero[np.unique(member.index[(member.index >= 0) & ~filters])] = False
    for part in group.keep_at_least_one:
        zero[part[0]] &= not zero[list(part)].all()
    if zero.all():
        zero[0] = False
    return ~zero
