"""What a model costs as a function of the number of channels kept in each group.

A cost is a sum of terms, one for each weight or layer, and each term depends on the sizes of a few axes. FLOPs,
parameters and latency differ in what a term is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from .analysis import Analysis
from .dependency.groups import Group

Sizes = Sequence[np.ndarray]
"""Sizes of the axes of a term, one array each; the arrays broadcast."""


@dataclass(frozen=True)
class Axis:
    """Size of one axis: what is always there, and what each group adds for every channel that it keeps.

    Attributes:
        fixed: positions that belong to no group.
        per_channel: group -> positions of the axis for each of its channels.
    """

    fixed: float
    per_channel: Mapping[int, float]

    def size(self, kept: Mapping[int, np.ndarray]) -> np.ndarray:
        """Return the size where each group keeps a number of channels."""
        return np.asarray(self.fixed + sum(count * kept[group] for group, count in self.per_channel.items()))


@dataclass(frozen=True)
class Term:
    """One term of a cost.

    Attributes:
        axes: whose sizes it depends on.
        cost: of sizes, one array for each axis.
    """

    axes: tuple[Axis, ...]
    cost: Callable[[Sizes], np.ndarray]

    @property
    def groups(self) -> set[int]:
        """The groups whose channels it depends on."""
        return {group for axis in self.axes for group in axis.per_channel}


class WidthCost:
    """A cost of a model, by the number of channels that each group keeps.

    Args:
        terms: that do depend on groups.
        constant: what the rest costs.
        unit: ``FLOPs``, ``parameters`` or ``ms``.
    """

    def __init__(self, terms: Iterable[Term], constant: float, unit: str):
        self.terms = tuple(terms)
        self.constant = constant
        self.unit = unit
        self._of_group: dict[int, list[Term]] = {}
        for term in self.terms:
            for group in term.groups:
                self._of_group.setdefault(group, []).append(term)

    def total(self, kept: Sequence[int]) -> float:
        """Return the cost where each group keeps so many channels."""
        counts = dict(enumerate(np.asarray(kept, dtype=np.float64)))
        return self.constant + float(sum(_value(term, counts) for term in self.terms))

    def saved(self, kept: Sequence[int], group: int, fewer: np.ndarray) -> np.ndarray:
        """Return what is saved where one group keeps fewer channels, and the others what they keep.

        Args:
            kept: channels that each group keeps.
            group: number of the group.
            fewer: numbers of channels ``[n]`` that it might keep instead.
        """
        counts = dict(enumerate(np.asarray(kept, dtype=np.float64)))
        before = sum(_value(term, counts) for term in self._of_group.get(group, ()))
        counts[group] = np.asarray(fewer, dtype=np.float64)
        after = sum((_value(term, counts) for term in self._of_group.get(group, ())), np.zeros(len(fewer)))
        return np.asarray(before - after)

    def neighbours(self, group: int) -> set[int]:
        """Return the groups whose savings change with the width of one, itself included."""
        return {group, *(other for term in self._of_group.get(group, ()) for other in term.groups)}


def flops_cost(analysis: Analysis) -> WidthCost:
    """FLOPs (multiply-accumulates) of one input."""
    weights = {name: (shape, analysis.cost.positions[name]) for name, shape in analysis.cost.shapes.items()}
    return _of_products(analysis.groups, weights, "FLOPs")


def parameter_cost(analysis: Analysis, parameters: Mapping[str, Sequence[int]]) -> WidthCost:
    """Number of parameters.

    Args:
        analysis: of the dense model.
        parameters: shape of every parameter, buffers left out.
    """
    return _of_products(analysis.groups, {name: (shape, 1) for name, shape in parameters.items()}, "parameters")


def axes_of(groups: Sequence[Group], shapes: Mapping[str, Sequence[int]]) -> dict[str, tuple[Axis, ...]]:
    """Return the axes of every parameter whose size depends on a group."""
    found: dict[str, dict[int, dict[int, np.ndarray]]] = {}
    for number, group in enumerate(groups):
        for member in group.members:
            if member.param in shapes:
                found.setdefault(member.param, {}).setdefault(member.axis, {})[number] = member.index
    return {
        name: tuple(_axis(axes.get(axis, {}), int(size), groups) for axis, size in enumerate(shapes[name]))
        for name, axes in found.items()
    }


def _axis(indices: Mapping[int, np.ndarray], size: int, groups: Sequence[Group]) -> Axis:
    touched = {group: int((index >= 0).sum()) for group, index in indices.items()}
    per_channel = {group: count / groups[group].prunable_channels for group, count in touched.items()}
    return Axis(size - sum(touched.values()), per_channel)


def _of_products(groups: Sequence[Group], weights: Mapping[str, tuple[Sequence[int], int]], unit: str) -> WidthCost:
    """A cost whose terms are products of the sizes of all axes, times a factor."""
    axes = axes_of(groups, {name: shape for name, (shape, _) in weights.items()})
    terms = [Term(axes[name], _product(factor)) for name, (_, factor) in weights.items() if name in axes and factor]
    constant = sum(factor * float(np.prod(shape)) for name, (shape, factor) in weights.items() if name not in axes)
    return WidthCost(terms, constant, unit)


def _product(factor: float) -> Callable[[Sizes], np.ndarray]:
    def product(sizes: Sizes) -> np.ndarray:
        value = np.asarray(factor, dtype=np.float64)
        for size in sizes:
            value = value * size
        return value

    return product


def _value(term: Term, kept: Mapping[int, np.ndarray]) -> np.ndarray:
    return term.cost([axis.size(kept) for axis in term.axes])
