"""From a dense model to a plan, and to the pruned model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..config import PruneConfig
from ..errors import SlimError
from ..upstream.paddle_lines import paddle
from . import criteria
from .allocate import Allocation, Sensitivity, allocate, counts, layers_of, unit_align
from .cost import Cost, measure, run_once
from .groups import Group, Grouping, layer_of
from .plan import Decision, Plan, apply_plan
from .select import units_to_prune
from .surgery import Cut, plan_surgery, shapes_of

ALIGN_ON_GPU = 8
WORTH_IT = 0.05
"""Share of the FLOPs that has to be in layers which pruning reaches; attention and MLPs are not pruned."""
INSTEAD = "quantize this model instead (Slim.quant: {name: pact})"


@dataclass(frozen=True)
class Analysis:
    """What is known of the dense model before anything is decided."""

    grouping: Grouping
    convolutions: tuple[str, ...]
    cost: Cost
    shapes: dict[str, tuple[int, ...]]
    input_shape: tuple[int, ...]

    def unreached_flops(self) -> int:
        """FLOPs of linear layers of which pruning takes neither inputs nor outputs: attention and MLPs."""
        reached = {member.param for group in self.grouping.groups for member in group.members}
        linear = {name for name in self.cost.shapes if layer_of(name) not in self.convolutions}
        return self.cost.flops() - self.cost.flops(dict.fromkeys(linear - reached, (0,)))


def analyse_model(model: paddle.nn.Layer, config: PruneConfig, input_shape: Sequence[int]) -> Analysis:
    """Find the groups of a dense model and what it costs.

    Args:
        model: dense.
        config: the ``Slim.prune`` section; its ``input_shape`` wins.
        input_shape: ``[C, H, W]``.

    Raises:
        SlimError: the model has no convolution, or hardly any that can be pruned.
    """
    convolutions = tuple(n for n, layer in model.named_sublayers() if isinstance(layer, paddle.nn.Conv2D))
    if not convolutions:
        raise SlimError(f"Slim.prune: {type(model).__name__} has no convolution to prune; {INSTEAD}")
    from .analysis import analyse

    shape = tuple(config.input_shape or input_shape)
    grouping = analyse(model, shape, config.input_dtype, config.skip_leaves)
    if not grouping.groups:
        reasons = "; ".join(sorted(set(grouping.frozen.values()))[:3])
        raise SlimError(f"Slim.prune: no convolution of {type(model).__name__} can be pruned: {reasons}; {INSTEAD}")
    # Pointwise layers of some backbones are linear layers on [n, h, w, c]; they can be named like convolutions.
    masters = (layer_of(master) for group in grouping.groups for master in group.masters)
    convolutions = tuple(dict.fromkeys([*convolutions, *masters]))
    cost = measure(model, shape, config.input_dtype)
    reached = {member.param for group in grouping.groups for member in group.members}
    share = 1 - cost.flops(dict.fromkeys(reached, (0,))) / cost.flops()
    if share < WORTH_IT:
        raise SlimError(
            f"Slim.prune: convolutions that can be pruned have {100 * share:.1f} % of the FLOPs of "
            f"{type(model).__name__}; {INSTEAD}"
        )
    return Analysis(grouping, convolutions, cost, shapes_of(model), shape)


def make_plan(
    model: paddle.nn.Layer,
    config: PruneConfig,
    input_shape: Sequence[int],
    device: str = "cpu",
    sensitivity_of: Optional[Callable[[Analysis], Sensitivity]] = None,
) -> Plan:
    """Decide what is pruned; the model is not changed.

    Args:
        model: dense, with the weights that are to be judged.
        config: the ``Slim.prune`` section.
        input_shape: ``[C, H, W]``; the section's own ``input_shape`` wins.
        device: ``Global.device``, which sets the default of ``align``.
        sensitivity_of: gives the sensitivities where ``sensitivity_file`` is set.

    Raises:
        SlimError: see :func:`analyse_model` and :func:`allocate`; or nothing would be pruned.
    """
    analysis = analyse_model(model, config, input_shape)
    sensitivity = sensitivity_of(analysis) if config.sensitivity_file and sensitivity_of else None
    return plan_from(analysis, model, config, device, sensitivity)


def plan_from(
    analysis: Analysis,
    model: paddle.nn.Layer,
    config: PruneConfig,
    device: str,
    sensitivity: Optional[Sensitivity] = None,
) -> Plan:
    """Score, select and count: the part of :func:`make_plan` after the analysis."""
    groups = analysis.grouping.groups
    align, because = resolve_align(config, device)
    allocations = allocate(
        config, analysis.grouping, analysis.convolutions, analysis.cost, analysis.shapes, align, sensitivity
    )
    kept = kept_units(model, criteria.get(config.name), groups, allocations, align, config.norm_ratio)
    plan = plan_of_kept(analysis, model, config, kept, allocations, align, because)
    if not plan.surgery.cuts:
        raise SlimError(
            f"Slim.prune prunes nothing: {_why_nothing(groups, allocations, align)}; raise the ratio, lower align, "
            "or remove the section"
        )
    return plan


def plan_of_kept(
    analysis: Analysis,
    model: paddle.nn.Layer,
    config: PruneConfig,
    kept: Sequence[np.ndarray],
    allocations: Sequence[Allocation],
    align: int,
    because: str,
) -> Plan:
    """Turn what every group keeps, bool ``[units]`` each, into a plan; it may cut nothing."""
    groups = analysis.grouping.groups
    surgery = plan_surgery(model, groups, kept)
    return Plan(
        criterion=config.name,
        settings=config.model_dump(mode="json"),
        align=align,
        align_because=because,
        input_shape=analysis.input_shape,
        flops={
            "dense": analysis.cost.flops(),
            "pruned": analysis.cost.flops({name: cut.kept_shape() for name, cut in surgery.cuts.items()}),
            "unreached": analysis.unreached_flops(),
        },
        parameters={
            "dense": analysis.cost.parameters,
            "pruned": _parameters_after(analysis.cost, surgery.cuts, model),
        },
        decisions=tuple(_decisions(groups, kept, allocations, analysis.convolutions, align)),
        frozen=dict(analysis.grouping.frozen),
        surgery=surgery,
    )


def prune(model: paddle.nn.Layer, plan: Plan) -> None:
    """Apply a plan and make sure that the result runs.

    Raises:
        SlimError: the plan does not fit, or the pruned model cannot run (the analysis was wrong).
    """
    apply_plan(plan, model)
    try:
        run_once(model, plan.input_shape, plan.settings.get("input_dtype", "float32"))
    except Exception as error:
        reason = str(error).strip().splitlines()[-1][:200]
        raise SlimError(
            f"the pruned {type(model).__name__} does not run: {type(error).__name__}: {reason}; "
            "please report it, and keep the layers involved with Slim.prune.skip"
        ) from error


def resolve_align(config: PruneConfig, device: str) -> tuple[int, str]:
    """Return the multiple that kept channels are rounded to, and why it is this one."""
    if config.align != "auto":
        return int(config.align), "Slim.prune.align"
    if device == "cpu":
        return 1, "default on a CPU, as PaddleSlim"
    return ALIGN_ON_GPU, f"default on {device}: widths that are no multiple of {ALIGN_ON_GPU} are slow there"


def kept_units(
    model: paddle.nn.Layer,
    criterion: criteria.Criterion,
    groups: Sequence[Group],
    allocations: Sequence[Allocation],
    align: int,
    norm_ratio: float = 0.0,
) -> list[np.ndarray]:
    """Score and select: for each group bool ``[units]``, True where a unit stays.

    Args:
        model: dense.
        criterion: scores.
        groups: as analysed.
        allocations: one a group.
        align: multiple that kept channels are rounded to.
        norm_ratio: share of the units that goes by the norm of their filters, before the criterion is asked.

    Raises:
        SlimError: a weight that is to be scored is not finite.
    """
    tensors = model.state_dict()
    kept = []
    for group, allocation, count in zip(groups, allocations, counts(groups, allocations, align)):
        keep = np.ones(group.units, dtype=bool)
        if count:
            seen = np.zeros(group.units, dtype=bool)
            for master in group.masters:
                filters = group.filters(master)
                weight = np.moveaxis(tensors[master].numpy(), filters.axis, 0)
                if not np.isfinite(weight).all():
                    raise SlimError(f"{master} has values that are not finite: prune from a sound checkpoint")
                index = filters.index
                own = np.where((index >= 0) & ~seen[index], index, -1)
                units = len(np.unique(own[own >= 0]))
                seen[own[own >= 0]] = True
                share = count if units == group.units else round(units * allocation.ratio)
                count_here = min(share, units - 1)
                by_norm = round(count_here * norm_ratio / allocation.ratio)
                keep[choose_lowest(criterion, weight, own, count_here, by_norm)] = False
            for part in group.never_empty:
                keep[part[0]] |= not keep[list(part)].any()
        kept.append(keep)
    return kept


def choose_lowest(
    criterion: criteria.Criterion, weight: np.ndarray, unit_of: np.ndarray, count: int, by_norm: int
) -> np.ndarray:
    """Choose ``by_norm`` units by the norm of their filters, and the rest of ``count`` by the criterion.

    FPGM-mix, as the authors' ``get_filter_similar``: distances are those among the filters that the norm has left.

    Args:
        criterion: scores.
        weight: ``[out_c, ...]``.
        unit_of: int ``[out_c]``, unit of each filter; filters with -1 have no say.
        count: units in all.
        by_norm: of these.
    """
    if by_norm == 0:
        return units_to_prune(criterion, weight, unit_of, count)
    small = units_to_prune(criteria.get("l2_norm"), weight, unit_of, by_norm)
    left = (unit_of >= 0) & ~np.isin(unit_of, small)
    return np.concatenate([small, units_to_prune(criterion, weight[left], unit_of[left], count - by_norm)])


def _decisions(
    groups: Sequence[Group],
    kept: Sequence[np.ndarray],
    allocations: Sequence[Allocation],
    convolutions: Sequence[str],
    align: int,
) -> list[Decision]:
    decisions = []
    for group, keep, allocation in zip(groups, kept, allocations):
        note = allocation.note
        if not note and allocation.ratio > 0 and keep.all():
            multiple = unit_align(group, align)
            note = f"nothing: {group.units} channels, ratio {allocation.ratio:g}, multiples of {multiple}"
        decisions.append(
            Decision(
                master=group.masters[0],
                layers=tuple(layers_of(group, convolutions)),
                units=group.units,
                kept=tuple(np.flatnonzero(keep).tolist()),
                ratio=round(allocation.ratio, 6),
                note=note,
            )
        )
    return decisions


def _why_nothing(groups: Sequence[Group], allocations: Sequence[Allocation], align: int) -> str:
    asked = [(g, a) for g, a in zip(groups, allocations) if a.ratio > 0]
    if not asked:
        notes = sorted({a.note for a in allocations if a.note})
        return "; ".join(notes[:3]) or "no group of channels has a ratio above 0"
    widest, allocation = max(asked, key=lambda pair: pair[0].units)
    return (
        f"ratio {allocation.ratio:g} of at most {widest.units} channels ({layer_of(widest.masters[0])}) "
        f"rounds to none with align {align}"
    )


def _parameters_after(cost: Cost, cuts: dict[str, Cut], model: paddle.nn.Layer) -> int:
    names = {name for name, _ in model.named_parameters()}
    gone = sum(
        int(np.prod(cut.shape)) - int(np.prod(cut.kept_shape())) for name, cut in cuts.items() if name in names
    )
    return cost.parameters - gone
