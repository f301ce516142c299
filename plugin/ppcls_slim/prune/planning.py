"""From a dense model to a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..config.prune import PruneConfig
from . import importance
from .analysis import Analysis, analyse_model, layers_of
from .budget import Budget, budget_of
from .budget_ratios import ratios_for_budget
from .choose import channels_to_keep, lowest_scores
from .dependency.groups import Group
from .importance.criterion import Aggregation
from .importance.group_scores import group_scores
from .latency.meter import LatencyMeter
from .latency.search import Planner, Selected, plan_in_time
from .plan import Decision, Plan
from .planned import check_planned
from .rank_channels import contest, normalization_of, ranking_of
from .ratios import (
    GroupRatio,
    Sensitivity,
    align_in_channels,
    check_channels_left,
    ratios_from_config,
    skipped_groups,
)
from .remaining import Earlier, Remaining
from .slices import plan_slices
from .step import Step

ALIGN_ON_GPU = 8


def make_plan(
    model: paddle.nn.Layer,
    config: PruneConfig,
    input_shape: Sequence[int],
    device: str = "cpu",
    sensitivity_of: Optional[Callable[[Analysis], Sensitivity]] = None,
    data: Optional[importance.TrainingData] = None,
    meter_of: Optional[Callable[[], Optional[LatencyMeter]]] = None,
    step: Optional[Step] = None,
    earlier: Optional[Earlier] = None,
) -> Plan:
    """Decide which channels are pruned; the model is not changed.

    Args:
        model: dense, with the weights to score; with ``earlier`` its weights do not matter.
        config: the ``Slim.prune`` section.
        input_shape: ``[C, H, W]``; the section's own ``input_shape`` overrides it.
        device: ``Global.device``, which sets the default of ``align``.
        sensitivity_of: returns the losses of accuracy, called if ``sensitivity_file`` is set.
        data: training batches, for criteria that score by them.
        meter_of: returns what measures latency, called for ``speedup`` and ``latency_ms``.
        step: of ``Slim.prune.steps``; all at once if absent.
        earlier: the model that the steps before have left, whose weights are scored; what it lacks stays away.

    Returns:
        What is kept of the dense model, also where earlier steps have pruned it.

    Raises:
        SlimError: see :func:`.analysis.analyse_model` and :func:`assign_ratios`; or nothing would be pruned.

    Example:
        >>> model = paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(8, 4, 3))
        >>> plan = make_plan(model, PruneConfig(pruned_ratio=0.5), [3, 16, 16])
        >>> [(d.root_weight, d.prunable_channels, len(d.kept)) for d in plan.decisions], plan.flops["pruned"]
        ([('0.weight', 8, 4)], 41904)
    """
    analysis = analyse_model(model, config, input_shape)
    sensitivity = sensitivity_of(analysis) if config.sensitivity_file and sensitivity_of else None
    return plan_from(analysis, model, config, device, sensitivity, data, meter_of, step, earlier)


def plan_from(
    analysis: Analysis,
    model: paddle.nn.Layer,
    config: PruneConfig,
    device: str,
    sensitivity: Optional[Sensitivity] = None,
    data: Optional[importance.TrainingData] = None,
    meter_of: Optional[Callable[[], Optional[LatencyMeter]]] = None,
    step: Optional[Step] = None,
    earlier: Optional[Earlier] = None,
) -> Plan:
    """Assign ratios, score and select: the part of :func:`make_plan` after the analysis."""
    meter = None
    if config.by_latency:
        meter = meter_of() if meter_of is not None else None
        if meter is None:
            raise SlimError(f"Slim.prune.{config.budget} needs an engine to measure on; set pruned_flops instead")
    remaining = Remaining.of(model, analysis.groups, earlier)
    selector = _Selector(analysis, config, remaining, sensitivity, data)

    def plan_at(part: float) -> Plan:
        def plan_of(chosen: Selected, align: int, reason: str) -> Plan:
            kept, ratios = chosen
            plan = plan_of_kept(analysis, model, config, kept, ratios, align, reason)
            if part == 1.0 and not plan.slices.params:  # the first of many steps may round to nothing
                raise SlimError(
                    f"Slim.prune prunes nothing: {_why_nothing(analysis.groups, ratios, align)}; raise the ratio, "
                    "lower align, or remove the section"
                )
            return plan

        if meter is not None:
            planner = Planner(lambda budget, align: selector.select(budget, align, part), plan_of)
            return plan_in_time(analysis, model, config, meter, planner, part)
        align, reason = resolve_align(config, device)
        return plan_of(selector.select(budget_of(config, analysis, model, part), align, part), align, reason)

    if step is None or step.number == step.of:
        return plan_at(1.0)
    if step.number == 1:
        plan_at(1.0)  # what cannot be reached in the end is said before anything is trained
    return plan_at(step.part)


class _Selector:
    """Selects channels under budgets; they are scored once, when the first budget needs it.

    Args:
        analysis: of the dense model.
        config: the ``Slim.prune`` section.
        remaining: the channels to choose from.
        sensitivity: losses of accuracy, for ``pruned_flops`` by sensitivity.
        data: training batches, for criteria that score by them.
    """

    def __init__(
        self,
        analysis: Analysis,
        config: PruneConfig,
        remaining: Remaining,
        sensitivity: Optional[Sensitivity],
        data: Optional[importance.TrainingData],
    ):
        self._analysis, self._config, self._remaining = analysis, config, remaining
        self._sensitivity = sensitivity
        self._data = replace(data, count=config.importance.batches) if data is not None else None
        self._criterion = importance.get(config.name)
        self._scores = cache(self._score)

    def select(self, budget: Optional[Budget], align: int, part: float) -> Selected:
        """Select channels.

        Args:
            budget: of the section, or the part of it; None where it gives ratios.
            align: the numbers of channels kept are multiples of this.
            part: of the ratios.

        Returns:
            For each group bool ``[channels of the dense group]``, True for channels that are kept; and its ratio.
        """
        config, remaining, criterion = self._config, self._remaining, self._criterion
        if budget is not None and ranking_of(config, criterion) != "layer":
            return contest(self._analysis, config, criterion, remaining, self._scores()).under(budget, align)
        dense = assign_ratios(config, self._analysis, budget, align, self._sensitivity, part)
        ratios = remaining.ratios(dense, align)
        if criterion.measure is None and self._aggregation == "root":
            model, groups = remaining.model, remaining.groups
            kept = channels_to_keep(model, criterion, groups, ratios, align, config.norm_ratio)
            return remaining.in_dense(kept), dense
        scores = self._scores()
        kept, told = lowest_scores(remaining.groups, scores, ratios, align)
        return remaining.in_dense(kept), [
            one if values is None else whole for one, whole, values in zip(told, dense, scores)
        ]

    @property
    def _aggregation(self) -> Aggregation:
        return self._config.importance.aggregation or self._criterion.aggregation

    def _score(self) -> list[Optional[np.ndarray]]:
        remaining, normalization = self._remaining, normalization_of(self._config, self._criterion)
        return group_scores(
            remaining.model, self._criterion, remaining.groups, self._aggregation, normalization, self._data
        )


def resolve_align(config: PruneConfig, device: str) -> tuple[int, str]:
    """Return the number that channels kept are multiples of, and why it is this one."""
    if config.align != "auto":
        return int(config.align), "Slim.prune.align"
    if device == "cpu":
        return 1, "default on a CPU, as PaddleSlim"
    return ALIGN_ON_GPU, f"default on {device}: widths that are not multiples of {ALIGN_ON_GPU} are slow there"


def assign_ratios(
    config: PruneConfig,
    analysis: Analysis,
    budget: Optional[Budget],
    align: int,
    sensitivity: Optional[Sensitivity] = None,
    part: float = 1.0,
) -> list[GroupRatio]:
    """Return the ratio of each group, by ``pruned_ratio`` and ``ratios`` or by a budget.

    Args:
        config: the ``Slim.prune`` section.
        analysis: of the dense model.
        budget: of the section; None where it gives ratios.
        align: the numbers of channels kept are multiples of this.
        sensitivity: losses of accuracy, for ``pruned_flops`` by sensitivity.
        part: of the ratios that the section gives, see :class:`.step.Step`.

    Raises:
        SlimError: a name matches nothing or cannot be pruned, a group would keep no channel, or the budget cannot be
            met.
    """
    if budget is None:
        group_ratios = ratios_from_config(config, analysis, part)
    else:
        skipped = skipped_groups(config, analysis)
        group_ratios = ratios_for_budget(analysis, skipped, budget, align, sensitivity)
    check_channels_left(analysis.groups, group_ratios, align)
    return group_ratios


def plan_of_kept(
    analysis: Analysis,
    model: paddle.nn.Layer,
    config: PruneConfig,
    kept: Sequence[np.ndarray],
    group_ratios: Sequence[GroupRatio],
    align: int,
    reason: str,
) -> Plan:
    """Return the plan that keeps given channels; it may prune nothing.

    Args:
        analysis: of the dense model.
        model: the dense model.
        config: the ``Slim.prune`` section.
        kept: for each group bool ``[prunable channels]``, True for channels that are kept.
        group_ratios: what was asked for, one for each group.
        align: the numbers of channels kept are multiples of this.
        reason: why it is this number.

    Raises:
        SlimError: the code of the model would do something else without the channels.
    """
    slices = plan_slices(model, analysis.groups, kept)
    check_planned(model, analysis.input_shape, config.input_dtype, analysis.programs, slices)
    shapes = {name: piece.kept_shape() for name, piece in slices.params.items()}
    names = {name for name, _ in model.named_parameters()}
    removed = sum(
        int(np.prod(piece.shape)) - int(np.prod(piece.kept_shape()))
        for name, piece in slices.params.items()
        if name in names
    )
    cost = analysis.cost
    return Plan(
        criterion=config.name,
        settings=config.model_dump(mode="json"),
        align=align,
        align_reason=reason,
        input_shape=analysis.input_shape,
        flops={"dense": cost.flops(), "pruned": cost.flops(shapes), "unreached": analysis.unreached_flops()},
        parameters={"dense": cost.parameters, "pruned": cost.parameters - removed},
        decisions=tuple(
            _decision(group, keep, ratio, analysis, shapes, align)
            for group, keep, ratio in zip(analysis.groups, kept, group_ratios)
        ),
        frozen=dict(analysis.grouping.frozen),
        slices=slices,
    )


def _decision(
    group: Group,
    keep: np.ndarray,
    ratio: GroupRatio,
    analysis: Analysis,
    shapes: Mapping[str, Sequence[int]],
    align: int,
) -> Decision:
    note = ratio.note
    if not note and ratio.ratio > 0 and keep.all():
        multiple = align_in_channels(group, align)
        note = f"nothing: {group.prunable_channels} channels, ratio {ratio.ratio:g}, multiples of {multiple}"
    layers = tuple(layers_of(group, analysis.convolutions))
    weights = {f"{layer}.weight" for layer in layers}
    return Decision(
        root_weight=group.root_weights[0],
        layers=layers,
        prunable_channels=group.prunable_channels,
        kept=tuple(np.flatnonzero(keep).tolist()),
        ratio=round(ratio.ratio, 6),
        note=note,
        flops=(analysis.cost.flops_of(weights), analysis.cost.flops_of(weights, shapes)),
    )


def _why_nothing(groups: Sequence[Group], group_ratios: Sequence[GroupRatio], align: int) -> str:
    asked = [(group, ratio) for group, ratio in zip(groups, group_ratios) if ratio.ratio > 0]
    if not asked:
        notes = sorted({ratio.note for ratio in group_ratios if ratio.note})
        return "; ".join(notes[:3]) or "no group of channels has a ratio above 0"
    widest, ratio = max(asked, key=lambda pair: pair[0].prunable_channels)
    return (
        f"ratio {ratio.ratio:g} of at most {widest.prunable_channels} channels "
        f"({widest.root_layer}) rounds to none with align {align}"
    )
