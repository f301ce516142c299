"""Which channels a step of pruning keeps, under a budget or by ratios."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Optional

import numpy as np

from ..config.prune import PruneConfig
from . import importance
from .analysis import Analysis
from .budget import Budget
from .budget_ratios import ratios_for_budget
from .choose import channels_to_keep, lowest_scores
from .importance.criterion import Aggregation
from .importance.group_scores import group_scores
from .latency.search import Selected
from .rank_channels import contest, normalization_of, ranking_of
from .ratios import GroupRatio, Sensitivity, check_channels_left, ratios_from_config, skipped_groups
from .remaining import Remaining


class Selector:
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
