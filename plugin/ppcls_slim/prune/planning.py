"""From a dense model to a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
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
from .slices import plan_slices

ALIGN_ON_GPU = 8


def make_plan(
    model: paddle.nn.Layer,
    config: PruneConfig,
    input_shape: Sequence[int],
    device: str = "cpu",
    sensitivity_of: Optional[Callable[[Analysis], Sensitivity]] = None,
    data: Optional[importance.TrainingData] = None,
    meter_of: Optional[Callable[[], Optional[LatencyMeter]]] = None,
) -> Plan:
    """Decide which channels are pruned; the model is not changed.

    Args:
        model: dense, with the weights to score.
        config: the ``Slim.prune`` section.
        input_shape: ``[C, H, W]``; the section's own ``input_shape`` overrides it.
        device: ``Global.device``, which sets the default of ``align``.
        sensitivity_of: returns the losses of accuracy, called if ``sensitivity_file`` is set.
        data: training batches, for criteria that score by them.
        meter_of: returns what measures latency, called for ``speedup`` and ``latency_ms``.

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
    return plan_from(analysis, model, config, device, sensitivity, data, meter_of)


def plan_from(
    analysis: Analysis,
    model: paddle.nn.Layer,
    config: PruneConfig,
    device: str,
    sensitivity: Optional[Sensitivity] = None,
    data: Optional[importance.TrainingData] = None,
    meter_of: Optional[Callable[[], Optional[LatencyMeter]]] = None,
) -> Plan:
    """Assign ratios, score and select: the part of :func:`make_plan` after the analysis."""
    criterion = importance.get(config.name)
    if data is not None:
        data = replace(data, count=config.importance.batches)

    ranks = ranking_of(config, criterion) != "layer"
    scored = contest(analysis, model, config, criterion, data) if ranks else None

    def select(budget: Optional[Budget], align: int) -> Selected:
        if scored is not None and budget is not None:
            return scored.under(budget, align)
        ratios = assign_ratios(config, analysis, budget, align, sensitivity)
        return _by_ratio(analysis, model, config, ratios, align, criterion, data)

    def plan_of(chosen: Selected, align: int, reason: str) -> Plan:
        kept, ratios = chosen
        plan = plan_of_kept(analysis, model, config, kept, ratios, align, reason)
        if not plan.slices.params:
            raise SlimError(
                f"Slim.prune prunes nothing: {_why_nothing(analysis.groups, ratios, align)}; raise the ratio, "
                "lower align, or remove the section"
            )
        return plan

    if config.by_latency:
        meter = meter_of() if meter_of is not None else None
        if meter is None:
            raise SlimError(f"Slim.prune.{config.budget} needs an engine to measure on; set pruned_flops instead")
        return plan_in_time(analysis, model, config, meter, Planner(select, plan_of))
    align, reason = resolve_align(config, device)
    return plan_of(select(budget_of(config, analysis, model), align), align, reason)


def _by_ratio(
    analysis: Analysis,
    model: paddle.nn.Layer,
    config: PruneConfig,
    group_ratios: list[GroupRatio],
    align: int,
    criterion: importance.Criterion,
    data: Optional[importance.TrainingData],
) -> tuple[list[np.ndarray], list[GroupRatio]]:
    """Select the channels with the lowest scores of each group: PaddleSlim's, or those of whole groups."""
    groups = analysis.groups
    aggregation = config.importance.aggregation or criterion.aggregation
    if criterion.measure is None and aggregation == "root":
        return channels_to_keep(model, criterion, groups, group_ratios, align, config.norm_ratio), group_ratios
    normalization = normalization_of(config, criterion)
    scores = group_scores(model, criterion, groups, aggregation, normalization, data)
    return lowest_scores(groups, scores, group_ratios, align)


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
) -> list[GroupRatio]:
    """Return the ratio of each group, by ``pruned_ratio`` and ``ratios`` or by a budget.

    Args:
        config: the ``Slim.prune`` section.
        analysis: of the dense model.
        budget: of the section; None where it gives ratios.
        align: the numbers of channels kept are multiples of this.
        sensitivity: losses of accuracy, for ``pruned_flops`` by sensitivity.

    Raises:
        SlimError: a name matches nothing or cannot be pruned, a group would keep no channel, or the budget cannot be
            met.
    """
    if budget is None:
        group_ratios = ratios_from_config(config, analysis)
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
