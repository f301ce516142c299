"""``Slim.prune.ranking``: channels of all groups compete for a budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..compat.paddle import paddle
from ..config.prune import PruneConfig
from ..graph.model import layer_of
from . import importance
from .analysis import Analysis, layers_of
from .budget import Budget
from .dependency.groups import Group
from .importance.criterion import Normalization
from .importance.group_scores import UNSCORED, group_scores
from .ranking import BudgetError, Ranked, candidate, rank
from .ratios import GroupRatio, skipped_groups


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
        groups: of the model.
        scores: for each group ``[prunable channels]``, None for groups that stay as they are.
        notes: why a group stays.
        config: the ``Slim.prune`` section.
        isomorphic: whether scores are quantiles of a kind of groups.
        weights: what each group counts where scores of different layers are not of one scale, see
            :func:`.ranking.candidate`; None where they are.
    """

    groups: Sequence[Group]
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
            For each group bool ``[prunable channels]``, True for channels that are kept; and its ratio, with a note.

        Raises:
            SlimError: the budget cannot be met.
        """
        config = self.config
        channels = [group.prunable_channels for group in self.groups]
        in_blocks = config.by_latency and config.align == "auto"
        candidates = [
            None
            if note is not None or values is None
            else candidate(group, values, config.keep_at_least, within(align, count) if in_blocks else align, weight)
            for group, values, note, count, weight in zip(
                self.groups, self.scores, self.notes, channels, self.weights
            )
        ]
        per_cost = config.per_cost and not self.isomorphic
        try:
            ranked = rank(candidates, channels, budget.of_widths, budget.cost, per_cost, fill=config.by_latency)
        except BudgetError as error:
            raise budget.out_of_reach(1.0 - error.reached / budget.dense) from None
        return list(ranked.kept), _ratios(ranked, self.notes)


def contest(
    analysis: Analysis,
    model: paddle.nn.Layer,
    config: PruneConfig,
    criterion: importance.Criterion,
    data: Optional[importance.TrainingData],
) -> Contest:
    """Score the channels of all groups.

    Args:
        analysis: of the dense model.
        model: dense, with its weights.
        config: the ``Slim.prune`` section, with a budget.
        criterion: scores channels.
        data: training batches, for criteria that need them.

    Raises:
        SlimError: the channels cannot be scored.
    """
    groups, skipped = analysis.groups, skipped_groups(config, analysis)
    aggregation = config.importance.aggregation or criterion.aggregation
    scores = group_scores(model, criterion, groups, aggregation, normalization_of(config, criterion), data)
    notes = [note or (UNSCORED if values is None else None) for note, values in zip(skipped, scores)]
    isomorphic = ranking_of(config, criterion) == "isomorphic"
    compared = quantiles_of_kinds(groups, scores, analysis) if isomorphic else scores
    of_one_scale = criterion.comparable or isomorphic
    layers = [None if of_one_scale else float(len(layers_of(group, analysis.convolutions))) for group in groups]
    return Contest(groups, compared, notes, config, isomorphic, layers)


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


def _ratios(ranked: Ranked, notes: Sequence[Optional[str]]) -> list[GroupRatio]:
    return [
        GroupRatio(float(1.0 - keep.mean()), note or f"importance lost {100 * lost:.1f} %")
        for keep, lost, note in zip(ranked.kept, ranked.lost, notes)
    ]
