"""From a dense model to a plan."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..config.prune import PruneConfig
from . import importance
from .analysis import Analysis, analyse_model, layers_of
from .budget import budget_of
from .dependency.groups import Group
from .latency.meter import LatencyMeter
from .latency.search import Planner, Selected, plan_in_time
from .plan import Decision, Plan
from .planned import check_planned
from .ratios import GroupRatio, Sensitivity, align_in_channels
from .remaining import Earlier, Remaining
from .selecting import Selector
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
        SlimError: see :func:`.analysis.analyse_model` and :func:`.selecting.assign_ratios`; or nothing would go.

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
    selector = Selector(analysis, config, remaining, sensitivity, data)

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


def resolve_align(config: PruneConfig, device: str) -> tuple[int, str]:
    """Return the number that channels kept are multiples of, and why it is this one."""
    if config.align != "auto":
        return int(config.align), "Slim.prune.align"
    if device == "cpu":
        return 1, "default on a CPU, as PaddleSlim"
    return ALIGN_ON_GPU, f"default on {device}: widths that are not multiples of {ALIGN_ON_GPU} are slow there"


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
