"""From a dense model to a plan, and to the pruned model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..config.section import PruneConfig
from . import importance
from .apply import ParamSlice, plan_slices, shapes_of
from .dependency.groups import Group, Grouping, layer_of
from .flops import Cost, measure, run_once
from .importance.selection import channels_to_prune
from .plan import Decision, Plan, apply_plan
from .ratios import GroupRatio, Sensitivity, align_in_channels, assign_ratios, counts, layers_of

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
    from .dependency import analyse

    shape = tuple(config.input_shape or input_shape)
    grouping = analyse(model, shape, config.input_dtype, config.skip_leaves)
    if not grouping.groups:
        reasons = "; ".join(sorted(set(grouping.frozen.values()))[:3])
        raise SlimError(f"Slim.prune: no convolution of {type(model).__name__} can be pruned: {reasons}; {INSTEAD}")
    # Pointwise layers of some backbones are linear layers on [n, h, w, c]; they can be named like convolutions.
    root_weights = (layer_of(root_weight) for group in grouping.groups for root_weight in group.root_weights)
    convolutions = tuple(dict.fromkeys([*convolutions, *root_weights]))
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
        SlimError: see :func:`analyse_model` and :func:`assign_ratios`; or nothing would be pruned.
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
    align, reason = resolve_align(config, device)
    ratios_of_groups = assign_ratios(
        config, analysis.grouping, analysis.convolutions, analysis.cost, analysis.shapes, align, sensitivity
    )
    kept = kept_channels(model, importance.get(config.name), groups, ratios_of_groups, align, config.norm_ratio)
    plan = plan_of_kept(analysis, model, config, kept, ratios_of_groups, align, reason)
    if not plan.slices.params:
        raise SlimError(
            f"Slim.prune prunes nothing: {_why_nothing(groups, ratios_of_groups, align)}; raise the ratio, "
            "lower align, or remove the section"
        )
    return plan


def plan_of_kept(
    analysis: Analysis,
    model: paddle.nn.Layer,
    config: PruneConfig,
    kept: Sequence[np.ndarray],
    ratios_of_groups: Sequence[GroupRatio],
    align: int,
    reason: str,
) -> Plan:
    """Turn what every group keeps, bool ``[channels]`` each, into a plan; it may cut nothing."""
    groups = analysis.grouping.groups
    slices = plan_slices(model, groups, kept)
    return Plan(
        criterion=config.name,
        settings=config.model_dump(mode="json"),
        align=align,
        align_reason=reason,
        input_shape=analysis.input_shape,
        flops={
            "dense": analysis.cost.flops(),
            "pruned": analysis.cost.flops({name: cut.kept_shape() for name, cut in slices.params.items()}),
            "unreached": analysis.unreached_flops(),
        },
        parameters={
            "dense": analysis.cost.parameters,
            "pruned": _parameters_after(analysis.cost, slices.params, model),
        },
        decisions=tuple(_decisions(groups, kept, ratios_of_groups, analysis.convolutions, align)),
        frozen=dict(analysis.grouping.frozen),
        slices=slices,
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


def kept_channels(
    model: paddle.nn.Layer,
    criterion: importance.Criterion,
    groups: Sequence[Group],
    ratios_of_groups: Sequence[GroupRatio],
    align: int,
    norm_ratio: float = 0.0,
) -> list[np.ndarray]:
    """Score and select: for each group bool ``[channels]``, True where a channel stays.

    Args:
        model: dense.
        criterion: scores.
        groups: as analysed.
        ratios_of_groups: one a group.
        align: multiple that kept channels are rounded to.
        norm_ratio: share of the channels that goes by the norm of their filters, before the criterion is asked.

    Raises:
        SlimError: a weight that is to be scored is not finite.
    """
    tensors = model.state_dict()
    kept = []
    for group, group_ratio, count in zip(groups, ratios_of_groups, counts(groups, ratios_of_groups, align)):
        keep = np.ones(group.prunable_channels, dtype=bool)
        if count:
            seen = np.zeros(group.prunable_channels, dtype=bool)
            for root_weight in group.root_weights:
                filters = group.filters(root_weight)
                weight = np.moveaxis(tensors[root_weight].numpy(), filters.axis, 0)
                if not np.isfinite(weight).all():
                    raise SlimError(f"{root_weight} has values that are not finite: prune from a sound checkpoint")
                index = filters.index
                own = np.where((index >= 0) & ~seen[index], index, -1)
                channels = len(np.unique(own[own >= 0]))
                seen[own[own >= 0]] = True
                share = count if channels == group.prunable_channels else round(channels * group_ratio.ratio)
                count_here = min(share, channels - 1)
                by_norm = round(count_here * norm_ratio / group_ratio.ratio)
                keep[choose_lowest(criterion, weight, own, count_here, by_norm)] = False
            for part in group.keep_at_least_one:
                keep[part[0]] |= not keep[list(part)].any()
        kept.append(keep)
    return kept


def choose_lowest(
    criterion: importance.Criterion, weight: np.ndarray, channel_index: np.ndarray, count: int, by_norm: int
) -> np.ndarray:
    """Choose ``by_norm`` channels by the norm of their filters, and the rest of ``count`` by the criterion.

    FPGM-mix, as the authors' ``get_filter_similar``: distances are those among the filters that the norm has left.

    Args:
        criterion: scores.
        weight: ``[out_c, ...]``.
        channel_index: int ``[out_c]``, channel of each filter; filters with -1 have no say.
        count: channels in all.
        by_norm: of these.
    """
    if by_norm == 0:
        return channels_to_prune(criterion, weight, channel_index, count)
    small = channels_to_prune(importance.get("l2_norm"), weight, channel_index, by_norm)
    left = (channel_index >= 0) & ~np.isin(channel_index, small)
    return np.concatenate([small, channels_to_prune(criterion, weight[left], channel_index[left], count - by_norm)])


def _decisions(
    groups: Sequence[Group],
    kept: Sequence[np.ndarray],
    ratios_of_groups: Sequence[GroupRatio],
    convolutions: Sequence[str],
    align: int,
) -> list[Decision]:
    decisions = []
    for group, keep, group_ratio in zip(groups, kept, ratios_of_groups):
        note = group_ratio.note
        if not note and group_ratio.ratio > 0 and keep.all():
            multiple = align_in_channels(group, align)
            note = (
                f"nothing: {group.prunable_channels} channels, ratio {group_ratio.ratio:g}, multiples of {multiple}"
            )
        decisions.append(
            Decision(
                root_weight=group.root_weights[0],
                layers=tuple(layers_of(group, convolutions)),
                prunable_channels=group.prunable_channels,
                kept=tuple(np.flatnonzero(keep).tolist()),
                ratio=round(group_ratio.ratio, 6),
                note=note,
            )
        )
    return decisions


def _why_nothing(groups: Sequence[Group], ratios_of_groups: Sequence[GroupRatio], align: int) -> str:
    asked = [(g, a) for g, a in zip(groups, ratios_of_groups) if a.ratio > 0]
    if not asked:
        notes = sorted({a.note for a in ratios_of_groups if a.note})
        return "; ".join(notes[:3]) or "no group of channels has a ratio above 0"
    widest, group_ratio = max(asked, key=lambda pair: pair[0].prunable_channels)
    return (
        f"ratio {group_ratio.ratio:g} of at most {widest.prunable_channels} channels "
        f"({layer_of(widest.root_weights[0])}) rounds to none with align {align}"
    )


def _parameters_after(cost: Cost, cuts: dict[str, ParamSlice], model: paddle.nn.Layer) -> int:
    names = {name for name, _ in model.named_parameters()}
    gone = sum(
        int(np.prod(cut.shape)) - int(np.prod(cut.kept_shape())) for name, cut in cuts.items() if name in names
    )
    return cost.parameters - gone
