"""Remove what a schedule has zeroed, without changing what the model computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...config.prune import PruneConfig
from ...graph.model import layer_of
from ..analysis import Analysis, analyse_model
from ..dependency.groups import Group
from ..plan import Plan
from ..planning import plan_of_kept
from ..pruner import prune
from ..ratios import GroupRatio
from .choose import maskable_positions
from .constant_channels import merge_constants
from .mask_state import GROUPS, MaskState


def remove_masked(model: paddle.nn.Layer, masked: MaskState) -> Plan:
    """Remove masked channels from a dense model with its weights, in place; it computes the same afterwards.

    Returns:
        The plan of the pruned model.

    Raises:
        SlimError: the mask state belongs to another model, or none of its channels can be removed.
    """
    config = PruneConfig.model_validate(masked.settings)
    analysis = analyse_model(model, config, masked.input_shape)
    groups = analysis.groups
    masked.check_fits(maskable_positions(analysis, masked.layers))
    if masked.layers == GROUPS:
        kept = [_all_but(group.prunable_channels, masked.chosen.get(group.root_weights[0], ())) for group in groups]
    else:
        kept = [_nonzero_channels(group, masked.chosen, analysis) for group in groups]
        kept = merge_constants(model, groups, kept, masked.input_shape)
    group_ratios = [GroupRatio(config.pruned_ratio or 0.0) for _ in groups]
    plan = plan_of_kept(analysis, model, config, kept, group_ratios, 1, "filters that training had zeroed")
    if not plan.slices.params:
        raise SlimError("none of the zeroed filters belongs to a channel that can be removed: use layers: groups")
    prune(model, plan)
    return plan


def _all_but(channels: int, masked: Sequence[int]) -> np.ndarray:
    keep = np.ones(channels, dtype=bool)
    keep[list(masked)] = False
    return keep


def _nonzero_channels(group: Group, chosen: Mapping[str, Sequence[int]], analysis: Analysis) -> np.ndarray:
    """Return bool ``[prunable channels]``, False where every convolution that produces the channel is zero there.

    At least one channel stays, and one of every set that ``keep_at_least_one`` lists.
    """
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
