"""What a schedule zeroes: the channels of groups, or the filters of every convolution by itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from ...common.name_patterns import expand
from ...compat.paddle import paddle
from ...config.prune import PruneConfig
from .. import importance
from ..analysis import Analysis
from ..choose import channels_to_keep
from ..importance.group_scores import check_finite
from ..importance.mix import lowest_channels, mix_counts
from ..ratios import GroupRatio
from .mask_state import GROUPS

Chosen = dict[str, tuple[int, ...]]
"""Root weight of a group -> its channels that are zeroed; or weight of a convolution -> its filters."""

Positions = list[tuple[str, int, np.ndarray]]
"""(parameter or buffer, axis, positions that are zeroed)."""


def maskable_positions(analysis: Analysis, layers: str) -> dict[str, int]:
    """Return how many positions each key of a :data:`Chosen` has.

    Args:
        analysis: of the dense model.
        layers: ``groups`` or ``convolutions``.
    """
    if layers == GROUPS:
        return {group.root_weights[0]: group.prunable_channels for group in analysis.groups}
    return {f"{layer}.weight": analysis.shapes[f"{layer}.weight"][0] for layer in analysis.convolutions}


class Choice(Protocol):
    """Chooses what is zeroed."""

    def choose(self, model: paddle.nn.Layer) -> Chosen:
        """Choose by the weights as they are; the model is not changed."""

    def positions(self, chosen: Mapping[str, Sequence[int]]) -> Positions:
        """Return all positions that a choice zeroes."""


@dataclass(frozen=True)
class GroupChoice:
    """``layers: groups``: everything that produces the lowest channels of each group, as pruning removes them.

    Scale and shift of the normalization are included, so that the channel is zero and removing it changes nothing.

    Attributes:
        config: the ``Slim.prune`` section.
        analysis: of the dense model.
        group_ratios: one for each group.
        align: the numbers of channels kept are multiples of this.
    """

    config: PruneConfig
    analysis: Analysis
    group_ratios: Sequence[GroupRatio]
    align: int

    def choose(self, model: paddle.nn.Layer) -> Chosen:
        """Choose channels, see :func:`ppcls_slim.prune.choose.channels_to_keep`."""
        criterion, groups = importance.of_weights_alone(self.config.name, "Slim.prune.schedule"), self.analysis.groups
        kept = channels_to_keep(model, criterion, groups, self.group_ratios, self.align, self.config.norm_ratio)
        masked = (tuple(np.flatnonzero(~keep).tolist()) for keep in kept)
        return {group.root_weights[0]: channels for group, channels in zip(groups, masked) if channels}

    def positions(self, chosen: Mapping[str, Sequence[int]]) -> Positions:
        """Return the positions of all parameters and running statistics that produce the channels."""
        return [
            (member.param, member.axis, np.flatnonzero(np.isin(member.index, chosen[group.root_weights[0]])))
            for group in self.analysis.groups
            if group.root_weights[0] in chosen
            for member in group.members
            if member.produces
        ]


@dataclass(frozen=True)
class ConvolutionChoice:
    """``layers: convolutions``: the lowest filters of every convolution by itself, as the authors' program.

    Nothing else is zeroed. Behind such a filter the shift of the normalization still adds a constant; see
    :mod:`.constant_channels` for how the channel is removed all the same.

    Attributes:
        config: the ``Slim.prune`` section.
        analysis: of the dense model.
    """

    config: PruneConfig
    analysis: Analysis

    def choose(self, model: paddle.nn.Layer) -> Chosen:
        """Choose in every convolution the number of filters that the authors' program counts."""
        config, convolutions = self.config, self.analysis.convolutions
        asked = expand(config.ratios, convolutions, "Slim.prune.ratios")
        skipped = expand(config.skip, convolutions, "Slim.prune.skip")
        criterion, tensors = importance.of_weights_alone(config.name, "Slim.prune.schedule"), model.state_dict()
        chosen: Chosen = {}
        for layer in convolutions:
            ratio = config.ratios[asked[layer]] if layer in asked else config.pruned_ratio or 0.0
            weight = tensors[f"{layer}.weight"].numpy()
            counts = mix_counts(len(weight), ratio, config.norm_ratio)
            if layer in skipped or ratio <= 0 or sum(counts) == 0:
                continue
            check_finite(f"{layer}.weight", weight)
            filters = lowest_channels(criterion, weight, np.arange(len(weight)), counts)
            chosen[f"{layer}.weight"] = tuple(np.sort(filters).tolist())
        return chosen

    def positions(self, chosen: Mapping[str, Sequence[int]]) -> Positions:
        """Return the filters."""
        return [(name, 0, np.asarray(positions)) for name, positions in chosen.items()]
