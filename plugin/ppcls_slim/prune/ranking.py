"""Global ranking: which channels of all groups together are removed to meet a budget.

Greedy: the step that loses the least importance for each unit of cost that it saves is taken, until the budget is
met. Channels of one group go in the order of their scores, so that the state of a group is a number of channels.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from .dependency.groups import Group
from .ratios import align_in_channels
from .width_cost import WidthCost


@dataclass(frozen=True)
class Candidate:
    """A group as the ranking sees it.

    Attributes:
        order: prunable channels that may go, those with the lowest scores first.
        lost: importance lost ``[len(order) + 1]`` when the first 0, 1, 2, ... of them are gone.
        widths: numbers of channels that may be kept, descending; the first is all of them.
        share: what ``lost`` is of the importance of the whole group, 0 to 1.
    """

    order: np.ndarray
    lost: np.ndarray
    widths: np.ndarray
    share: np.ndarray


@dataclass(frozen=True)
class Ranked:
    """What a ranking chose.

    Attributes:
        kept: for each group bool ``[prunable channels]``, True for channels that are kept.
        lost: for each group the importance lost, as a share of its total.
        cost: what the model costs then.
    """

    kept: tuple[np.ndarray, ...]
    lost: tuple[float, ...]
    cost: float


def candidate(
    group: Group, scores: np.ndarray, keep_at_least: float, align: int, weight: Optional[float] = None
) -> Candidate:
    """Describe one group for the ranking.

    Scores of one scale add up to what is lost. Where scores say nothing about other layers (norms, distances), what
    counts is the share ``r`` of a layer's importance that is left, and the loss is ``weight * (1 / r^2 - 1)``: it
    grows the faster the less is left, so that no layer is emptied because it is expensive.

    Args:
        group: with its constraints.
        scores: ``[prunable channels]``.
        keep_at_least: share of the channels that stays.
        align: numbers of filters kept are multiples of this.
        weight: None where scores are of one scale; otherwise what the group counts, the number of its layers.
    """
    channels = group.prunable_channels
    may_go = np.ones(channels, dtype=bool)
    for part in group.keep_at_least_one:
        may_go[max(part, key=lambda channel: (scores[channel], channel))] = False
    order = np.argsort(scores, kind="stable")
    order = order[may_go[order]]
    multiple = align_in_channels(group, align)
    least = max(int(np.ceil(round(keep_at_least * channels, 6))), channels - len(order), 1)
    below = np.arange(channels - 1, least - 1, -1)
    widths = np.concatenate([[channels], below[below % multiple == 0]])
    lost = np.concatenate([[0.0], np.cumsum(np.maximum(scores[order], 0.0))])
    total = max(float(np.maximum(scores, 0.0).sum()), np.finfo(np.float64).tiny)
    share = np.minimum(lost / total, 1.0)
    if weight is not None:
        lost = weight * (np.maximum(1.0 - share, 1e-6) ** -2 - 1.0)
    return Candidate(order, lost, widths, share)


def rank(
    candidates: Sequence[Optional[Candidate]],
    channels: Sequence[int],
    cost: WidthCost,
    budget: float,
    per_cost: bool = True,
    fill: bool = False,
) -> Ranked:
    """Remove channels until the model costs no more than the budget.

    Args:
        candidates: one for each group, None for groups that stay as they are.
        channels: prunable channels of each group.
        cost: of widths.
        budget: in the unit of the cost.
        per_cost: weigh importance against what a step saves; otherwise the least important goes first.
        fill: give channels back in the end while the budget allows it: where steps are large (latency is a
            staircase), the last one may have gone far below.

    Raises:
        BudgetError: everything that may go is gone, and the model still costs more.
    """
    search = _Search(candidates, channels, cost, per_cost)
    total = cost.total(channels)
    while total > budget:
        step = search.best()
        if step is None:
            raise BudgetError(total)
        total -= search.take(step)
    if fill:
        total = search.fill(total, budget)
    return search.result(total)


class BudgetError(SlimError):
    """The budget cannot be met.

    Attributes:
        reached: the cost with everything removed that may go.
    """

    def __init__(self, reached: float):
        super().__init__(f"the budget cannot be met: {reached:g} is the least")
        self.reached = reached


@dataclass(frozen=True, order=True)
class _Step:
    """Go to a narrower width of one group."""

    price: float
    group: int
    width: int
    version: int
    saved: float


class _Search:
    """State of the greedy search; steps in the heap are outdated when a neighbour has changed since."""

    def __init__(
        self, candidates: Sequence[Optional[Candidate]], channels: Sequence[int], cost: WidthCost, per_cost: bool
    ):
        self._candidates, self._cost, self._per_cost = candidates, cost, per_cost
        self._kept = list(channels)
        self._channels = list(channels)
        self._versions = [0] * len(channels)
        self._heap: list[_Step] = []
        for group in range(len(channels)):
            self._push(group)

    def best(self) -> Optional[_Step]:
        """Return the cheapest step that is still valid."""
        while self._heap:
            step = heapq.heappop(self._heap)
            if step.version == self._versions[step.group]:
                return step
        return None

    def take(self, step: _Step) -> float:
        """Take a step; return what it saves."""
        self._kept[step.group] = step.width
        for group in self._cost.neighbours(step.group):
            self._versions[group] += 1
            self._push(group)
        return step.saved

    def fill(self, total: float, budget: float) -> float:
        """Widen groups again, the largest gain of importance first; return the cost."""
        gains = {group: self._widest(group, total, budget) for group in range(len(self._kept))}
        while True:
            group, (gained, width, cost) = max(gains.items(), key=lambda item: item[1][0])
            if gained <= 0.0:
                return total
            total += cost
            self._kept[group] = width
            near = self._cost.neighbours(group)
            for other, (before, _, more) in gains.items():
                if other in near or (before > 0.0 and total + more > budget):
                    gains[other] = self._widest(other, total, budget)

    def _widest(self, group: int, total: float, budget: float) -> tuple[float, int, float]:
        """The width up to which a group can be widened: importance gained, width, and what it costs."""
        candidate, kept = self._candidates[group], self._kept[group]
        widths = candidate.widths[candidate.widths > kept] if candidate is not None else np.zeros(0, dtype=np.int64)
        costs = -self._cost.saved(self._kept, group, widths) if len(widths) else np.zeros(0)
        fits = np.flatnonzero(total + costs <= budget)
        if candidate is None or not len(fits):
            return 0.0, kept, 0.0
        best = int(fits[0])  # widths are descending
        channels = self._channels[group]
        gained = float(candidate.lost[channels - kept] - candidate.lost[channels - widths[best]])
        return gained, int(widths[best]), float(costs[best])

    def result(self, total: float) -> Ranked:
        """Return the masks."""
        masks, lost = [], []
        for candidate, channels, kept in zip(self._candidates, self._channels, self._kept):
            mask = np.ones(channels, dtype=bool)
            share = 0.0
            if candidate is not None and kept < channels:
                gone = candidate.order[: channels - kept]
                mask[gone] = False
                share = float(candidate.share[len(gone)])
            masks.append(mask)
            lost.append(share)
        return Ranked(tuple(masks), tuple(lost), total)

    def _push(self, group: int) -> None:
        candidate = self._candidates[group]
        if candidate is None:
            return
        channels, kept = self._channels[group], self._kept[group]
        widths = candidate.widths[candidate.widths < kept]
        if not len(widths):
            return
        saved = self._cost.saved(self._kept, group, widths)
        lost = candidate.lost[channels - widths] - candidate.lost[channels - kept]
        useful = saved > 0
        if not useful.any():
            return
        price = np.full(len(widths), np.inf)
        price[useful] = lost[useful] / (saved[useful] if self._per_cost else (kept - widths)[useful])
        # The narrower width of two that cost the same importance, never one that costs as much time as a wider one.
        best = int(np.flatnonzero(price == price.min())[0])
        heapq.heappush(
            self._heap, _Step(float(price[best]), group, int(widths[best]), self._versions[group], float(saved[best]))
        )
