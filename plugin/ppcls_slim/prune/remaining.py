"""What earlier steps of pruning have left: the channels that the next step chooses from.

Groups are those of the dense network in every step, so that every plan says what is left of the dense network, and
all plans are made by the same rule. Only what is scored has fewer channels: the network as it was pruned and trained
so far.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.paddle import paddle
from .dependency.groups import Group, Member
from .plan import Plan
from .ratios import GroupRatio, channel_counts
from .slices import SlicePlan


@dataclass(frozen=True)
class Earlier:
    """A network that was pruned in earlier steps.

    Attributes:
        model: pruned, with its weights.
        plan: how it was pruned.
    """

    model: paddle.nn.Layer
    plan: Plan


@dataclass(frozen=True)
class Remaining:
    """The channels that are there to be scored.

    Attributes:
        model: whose weights are scored.
        groups: of ``model``; for scoring only, what has to follow the channels is left to the dense groups.
        dense: the groups of the dense network, in the same order.
        kept: for each group bool ``[channels of the dense group]``, True for those that ``model`` has.
    """

    model: paddle.nn.Layer
    groups: tuple[Group, ...]
    dense: tuple[Group, ...]
    kept: tuple[np.ndarray, ...]

    @classmethod
    def of(cls, model: paddle.nn.Layer, groups: Sequence[Group], earlier: Optional[Earlier]) -> Remaining:
        """Return all channels of a dense network, or those that earlier steps have left.

        Args:
            model: dense.
            groups: of the dense network.
            earlier: what was pruned before.

        Raises:
            SlimError: the plan of the earlier steps has other groups.
        """
        if earlier is None:
            everything = tuple(np.ones(group.prunable_channels, dtype=bool) for group in groups)
            return cls(model, tuple(groups), tuple(groups), everything)
        decisions = earlier.plan.decisions
        found = [(one.root_weight, one.prunable_channels) for one in decisions]
        if found != [(group.root_weights[0], group.prunable_channels) for group in groups]:
            raise SlimError(
                "Slim.prune.steps: the plan of the step before has other groups of channels than are found now (by "
                "another version?): go on with the version that made it, or start anew"
            )
        kept = tuple(
            np.isin(np.arange(group.prunable_channels), decision.kept) for group, decision in zip(groups, decisions)
        )
        slices = earlier.plan.slices
        narrowed = tuple(_narrowed(group, mask, slices) for group, mask in zip(groups, kept))
        return cls(earlier.model, narrowed, tuple(groups), kept)

    def in_dense(self, kept: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return which channels of the dense groups stay where some of the remaining ones do.

        Args:
            kept: for each group bool ``[remaining channels]``.
        """
        masks = []
        for before, own in zip(self.kept, kept):
            mask = before.copy()
            mask[before] = own
            masks.append(mask)
        return masks

    def ratios(self, ratios: Sequence[GroupRatio], align: int) -> list[GroupRatio]:
        """Return ratios of the remaining channels that leave as many as ratios of the dense groups do.

        Args:
            ratios: of the dense groups.
            align: the numbers of channels kept are multiples of this.
        """
        if all(mask.all() for mask in self.kept):
            return list(ratios)
        counts = channel_counts(self.dense, ratios, align)
        return [
            replace(ratio, ratio=max(0, count - int((~mask).sum())) / int(mask.sum()))
            for ratio, count, mask in zip(ratios, counts, self.kept)
        ]


def _narrowed(group: Group, kept: np.ndarray, slices: SlicePlan) -> Group:
    """The group without the channels that are gone; the others keep their order."""
    renumbered = np.append(np.where(kept, np.cumsum(kept) - 1, -1), -1)  # the last is that of -1

    def member(one: Member) -> Member:
        piece = slices.params.get(one.param)
        positions = piece.keep.get(one.axis) if piece is not None else None
        index = one.index if positions is None else one.index[list(positions)]
        return replace(one, index=renumbered[index])

    parts = (tuple(int(renumbered[channel]) for channel in part if kept[channel]) for part in group.keep_at_least_one)
    return Group(
        root_weights=group.root_weights,
        prunable_channels=int(kept.sum()),
        members=tuple(map(member, group.members)),
        keep_at_least_one=tuple(parts),
    )
