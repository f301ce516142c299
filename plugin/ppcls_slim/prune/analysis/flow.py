"""Following labels through a recorded program, operation by operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Optional

import numpy as np

from ..trace import Operation, Program, Tensor
from .labels import FIXED, Axis, Labels

Rule = Callable[["Flow", Operation], None]
RULES: dict[str, Rule] = {}
"""Operation -> its rule. An operation without one freezes what it touches."""


def rule(*names: str) -> Callable[[Rule], Rule]:
    """Register the rule of one family of operations."""

    def register(function: Rule) -> Rule:
        for name in names:
            RULES[name] = function
        return function

    return register


class Contradiction(Exception):
    """Labels that ought to be the same are not: only while a pruned program is checked."""


class Flow:
    """The state of an analysis: which axis of which tensor carries which labels.

    Attributes:
        axes: tensor -> its labelled axis; tensors without one are absent.
        params: (parameter, axis) -> labels ``[size of the axis]``.
        inputs: those of ``params`` that read channels: the input axes of convolutions and of linear
            layers.
        loud: those of ``inputs`` for which a silenced channel is not zero.
        grouped: grouped or depthwise convolution -> label of each of its groups ``[groups]``.
        choices: site -> how often the first, more permissive reading of it has been given up; see
            ``choice``.
    """

    def __init__(self, choices: Optional[Mapping[Any, int]] = None, labels: Optional[Labels] = None) -> None:
        self.labels = labels or Labels()
        self.axes: dict[Tensor, Axis] = {}
        self.params: dict[tuple[str, int], np.ndarray] = {}
        self.inputs: set[tuple[str, int]] = set()
        self.loud: set[tuple[str, int]] = set()
        self.grouped: dict[str, np.ndarray] = {}
        self.choices = dict(choices or {})
        self.fixed_params: dict[str, str] = {}
        self.site: Any = None
        self.checking = False  # following what is left of labels that are known already
        self.expected: dict[Tensor, Axis] = {}  # the same in the dense program, then

    def run(self, program: Program, sites: list[Any]) -> None:
        """Apply the rule of every operation, in order.

        Args:
            sites: name of the place in the code, for each operation; see ``sites_of``.
        """
        for operation, site in zip(program.operations, sites):
            self.site = site
            RULES.get(operation.name, unknown)(self, operation)

    # What rules read

    def axis(self, tensor: Tensor) -> Optional[Axis]:
        """Return the labelled axis of a tensor, None where it has none.

        A parameter with one axis of its own (a scale ``[1, C, 1, 1]``) gets labels here; one with more
        is held, since nobody follows it further.
        """
        known = self.axes.get(tensor)
        if known is not None or tensor.param is None:
            return known
        wide = [
            axis for axis, size in enumerate(tensor.shape) if size > 1 or (tensor.param, axis) in self.params
        ]
        if len(wide) != 1:
            self.hold(tensor, "a weight that is computed with")
            return None
        labels = self.param(tensor, wide[0])
        self.axes[tensor] = Axis(wide[0], labels)
        return self.axes[tensor]

    def param(self, tensor: Tensor, axis: int, labels: Optional[np.ndarray] = None) -> np.ndarray:
        """Return the labels of an axis of a parameter, after tying them to ``labels``."""
        key = (tensor.param, axis)
        size = tensor.shape[axis]
        if labels is None:
            if key not in self.params:
                self.params[key] = self.labels.new(size)
        elif key not in self.params:
            self.params[key] = labels
        else:
            self.params[key] = self.labels.tie(self.params[key], labels, "shared with channels that stay")
        return self.params[key]

    def choice(self, options: int) -> int:
        """Return which of the readings of the current operation applies, the most permissive first.

        A reading is given up when the program of a pruned model shows that it was wrong.
        """
        return min(self.choices.get(self.site, 0), options - 1)

    # What rules say

    def carry(self, tensor: Tensor, axis: Optional[Axis]) -> None:
        """Label a result."""
        if axis is None or (axis.labels == FIXED).all():
            return
        if len(axis.labels) != tensor.shape[axis.axis] and len(axis.labels) > 1:
            raise Contradiction(
                f"{len(axis.labels)} channels were expected, {tensor.shape[axis.axis]} are there"
            )
        if len(axis.labels) == 1:
            if not self.checking:  # an axis of one position is broadcast, so it has to stay
                self.labels.freeze(axis.labels, "a single channel")
                return
            axis = replace(axis, axis=self.expected.get(tensor, axis).axis)
        self.axes[tensor] = axis

    def freeze(self, tensor: Tensor, reason: str) -> None:
        """Keep all positions of this tensor."""
        axis = self.axes.get(tensor)
        if axis is not None:
            self.labels.freeze(axis.labels, reason)
        elif tensor.param is not None:
            self.hold(tensor, reason)

    def hold(self, tensor: Tensor, reason: str) -> None:
        """Keep a parameter as it is on all of its axes."""
        self.fixed_params.setdefault(tensor.param, reason)

    def settle(self, array: np.ndarray, first_axis: int, prefer: int = 0) -> Optional[Axis]:
        """Reduce labels that may vary along several axes to one axis.

        What is removed has to be a slice of the tensor, so all but one axis are tied.

        Args:
            array: labels of the axes ``first_axis``, ``first_axis + 1``, …
            prefer: which of the axes that could shrink does, counted from the longest.
        """
        roots = self.labels.find(array)
        varying = [i for i in range(array.ndim) if (roots != roots.take([0], i)).any()]
        if not varying:
            varying = [int(np.argmax(array.shape))]
        varying.sort(key=lambda i: (-array.shape[i], -i))
        keep = varying[min(prefer, len(varying) - 1)]
        for i in range(array.ndim):
            if i != keep and array.shape[i] > 1:
                array = self.labels.tie(array, array.take([0], i), "tied to channels that stay").take([0], i)
        return Axis(first_axis + keep, array.ravel())


def sites_of(program: Program, types: Mapping[str, str]) -> list[Any]:
    """Name the place in the code of every operation: the same line of the same class is one place.

    Args:
        types: name of a layer -> its class.
    """
    sites, seen = [], Counter()
    last = None
    for operation in program.operations:
        if operation.layer != last:
            seen = Counter()
            last = operation.layer
        seen[operation.name] += 1
        sites.append((types.get(operation.layer, ""), operation.name, seen[operation.name]))
    return sites


def unknown(flow: Flow, operation: Operation) -> None:
    """Whatever has no rule keeps its inputs whole."""
    for tensor in operation.inputs:
        flow.freeze(tensor, f"{operation.name} has no rule")
