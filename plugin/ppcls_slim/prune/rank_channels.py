"""``Slim.prune.ranking``: channels of all groups compete for a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..config.prune import PruneConfig
from ..graph.model import layer_of
from . import importance
from .analysis import Analysis, layers_of
from .budget import Budget
from .dependency.groups import Group
from .importance.criterion import Normalization
from .importance.group_scores import UNSCORED
from .ranking import BudgetError, Candidate, Ranked, candidate, rank
from .ratios import GroupRatio, skipped_groups
from .remaining import Remaining


def ranking_of(config: PruneConfig, criterion: importance.Criterion) -> str:
    """Return ``layer``, ``global`` or ``isomorphic``: what the section says, or the default of the criterion."""
    if config.ranking is not None:
        return config.ranking
    whole_group = (config.importance.aggregation or criterion.aggregation) != "root" or config.by_latency
    return "global" if config.budget is not None and whole_group and config.schedule is None else "layer"


def normalization_of(config: PruneConfig, criterion: importance.Criterion) -> Normalization:
    """Return what the section says, or a default.

    Norms and distances of two tensors or two layers have different scales, which mean nothing: they are divided by
    their mean. What is measured on batches is a change of the loss everywhere.
    """
    if config.importance.normalization is not None:
        return config.importance.normalization
    return "mean" if criterion.measure is None else criterion.normalization


@dataclass(frozen=True)
class Contest:
    """Channels of all groups with their scores; they compete for any budget.

    Attributes:
        remaining: the channels, of the dense groups or of what earlier steps have left of them.
        scores: for each group ``[remaining channels]``, None for groups that stay as they are.
        notes: why a group stays.
        config: the ``Slim.prune`` section.
        isomorphic: whether scores are quantiles of a kind of groups.
        weights: what each group counts where scores of different layers are not of one scale, see
            :func:`.ranking.candidate`; None where they are.
    """

    remaining: Remaining
    scores: Sequence[Optional[np.ndarray]]
    notes: Sequence[Optional[str]]
    config: PruneConfig
    isomorphic: bool
    weights: Sequence[Optional[float]]

    def under(self, budget: Budget, align: int) -> tuple[list[np.ndarray], list[GroupRatio]]:
        """Select channels.

        Args:
            budget: what the model may cost.
            align: the numbers of channels kept are multiples of this.

        Returns:
            For each group bool ``[channels of the dense group]``, True for channels that are kept; and its ratio,
            with a note.

        Raises:
            SlimError: the budget cannot be met.
        """
        config, remaining = self.config, self.remaining
        channels = [group.prunable_channels for group in remaining.groups]
        in_blocks = config.by_latency and config.align == "auto"
        candidates: list[Optional[Candidate]] = []
        for group, dense, values, note, weight in zip(
            remaining.groups, remaining.dense, self.scores, self.notes, self.weights
        ):
            if note is not None or values is None:
                candidates.append(None)
                continue
            multiple = within(align, dense.prunable_channels) if in_blocks else align
            least = config.keep_at_least * dense.prunable_channels / group.prunable_channels
            candidates.append(candidate(group, values, least, multiple, weight))
        per_cost = config.per_cost and not self.isomorphic
        try:
            ranked = rank(candidates, channels, budget.of_widths, budget.cost, per_cost, fill=config.by_latency)
        except BudgetError as error:
            raise budget.out_of_reach(1.0 - error.reached / budget.dense) from None
        kept = remaining.in_dense(ranked.kept)
        return kept, _ratios(kept, ranked, self.notes)


def contest(
    analysis: Analysis,
    config: PruneConfig,
    criterion: importance.Criterion,
    remaining: Remaining,
    scores: Sequence[Optional[np.ndarray]],
) -> Contest:
    """Let the channels of all groups compete.

    Args:
        analysis: of the dense model.
        config: the ``Slim.prune`` section, with a budget.
        criterion: that scored the channels.
        remaining: the channels.
        scores: for each group ``[remaining channels]``, None where it has none.
    """
    groups, skipped = remaining.groups, skipped_groups(config, analysis)
    notes = [note or (UNSCORED if values is None else None) for note, values in zip(skipped, scores)]
    isomorphic = ranking_of(config, criterion) == "isomorphic"
    compared = quantiles_of_kinds(groups, scores, analysis) if isomorphic else scores
    of_one_scale = criterion.comparable or isomorphic
    layers = [None if of_one_scale else float(len(layers_of(group, analysis.convolutions))) for group in groups]
    return Contest(remaining, compared, notes, config, isomorphic, layers)


def within(block: int, channels: int) -> int:
    """A block of which a layer has at least two: half of it, a quarter and so on for narrow layers.

    >>> [within(16, channels) for channels in (64, 24, 16, 6)]
    [16, 8, 8, 2]
    """
    while block > 1 and 2 * block > channels:
        block //= 2
    return block


def quantiles_of_kinds(
    groups: Sequence[Group], scores: Sequence[Optional[np.ndarray]], analysis: Analysis
) -> list[Optional[np.ndarray]]:
    """Replace scores by their quantile among all channels of the same kind of group.

    A threshold on quantiles removes the same share of every kind, as Fang et al., Isomorphic Pruning for Vision
    Models, ECCV 2024.
    """
    kinds = [_kind(group, analysis) for group in groups]
    quantiles: list[Optional[np.ndarray]] = [None] * len(groups)
    for kind in set(kinds):
        own = [n for n, other in enumerate(kinds) if other == kind and scores[n] is not None]
        if not own:
            continue
        joined = np.concatenate([np.asarray(scores[n]) for n in own])
        position = (np.argsort(np.argsort(joined, kind="stable"), kind="stable") + 1.0) / len(joined)
        ends = np.cumsum([len(np.asarray(scores[n])) for n in own])
        for n, part in zip(own, np.split(position, ends[:-1])):
            quantiles[n] = part
    return quantiles


def _kind(group: Group, analysis: Analysis) -> tuple[tuple[int, ...], ...]:
    """What makes two groups the same kind: the axes and kernels of the weights that they touch, once each."""
    weights = {
        (member.axis, *analysis.shapes[member.param][2:])
        for member in group.members
        if len(analysis.shapes[member.param]) > 1 and layer_of(member.param)
    }
    return tuple(sorted(weights))


def _ratios(kept: Sequence[np.ndarray], ranked: Ranked, notes: Sequence[Optional[str]]) -> list[GroupRatio]:
    return [
        GroupRatio(float(1.0 - keep.mean()), note or f"importance lost {100 * lost:.1f} %")
        for keep, lost, note in zip(kept, ranked.lost, notes)
    ]
