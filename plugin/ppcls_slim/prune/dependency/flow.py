"""The state of an analysis: which channels of which tensors, parameters and attributes carry which labels."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, Optional

import numpy as np

from ...graph.program import Operation, Tensor
from .code import Code, Site
from .counts import Count
from .labels import FIXED, Axis, Labels

COMPUTED_WEIGHT = "a weight that is computed"
"""Reason to freeze where a convolution's weight is a result: with weight or spectral normalization, for example."""


class ContradictionError(Exception):
    """Labels do not fit a tensor, or the labels of another one."""


class Flow:
    """The state of an analysis. Rules read the labels of inputs of operations here and write those of results.

    Attributes:
        code: what is known about the model's code.
        labels: the labels and how they are tied.
        axes: tensor -> its labelled axis; tensors without one are absent.
        params: (parameter, axis) -> labels ``[size of the axis]``.
        inputs: those of ``params`` that read channels: the input axes of convolutions and linear layers.
        outputs: those of ``params`` that produce channels: the output axes of convolutions and linear layers.
        nonzero_if_masked: those of ``inputs`` for which a masked channel is not zero.
        grouped: grouped or depthwise convolution -> label of each of its groups ``[groups]``.
        pointwise: weights of linear layers that are applied to feature maps ``[n, h, w, c]``, as a convolution with
            kernel 1 would be.
        sizes: (layer, attribute) -> labels of the channels that the attribute counts.
        counts: tensor -> the channels whose number it holds while the model runs, see :mod:`.counts`.
        index_buffers: index buffer -> labels of the axis that it picks from.
        computed_with: parameters that the forward pass reads, whatever it does with them.
        fixed_params: parameter that cannot shrink along any axis -> reason.
        site: place in the code of the current operation.
        step: (program, number of the operation) of the current operation.
        interpretations: step -> how it was interpreted.
        failed: steps whose rule failed.
        wrong: sites whose interpretation has turned out to be wrong already.
        checking: the labels are known already; the flow follows those that are left in a pruned program.
        expected: while checking, tensor of the pruned program -> the labelled axis it has in the dense one.
    """

    def __init__(self, code: Optional[Code] = None, labels: Optional[Labels] = None) -> None:
        self.code = code or Code()
        self.labels = labels or Labels()
        self.axes: dict[Tensor, Axis] = {}
        self.params: dict[tuple[str, int], np.ndarray] = {}
        self.inputs: set[tuple[str, int]] = set()
        self.outputs: set[tuple[str, int]] = set()
        self.nonzero_if_masked: set[tuple[str, int]] = set()
        self.grouped: dict[str, np.ndarray] = {}
        self.pointwise: set[str] = set()
        self.sizes: dict[tuple[str, str], np.ndarray] = {}
        self.counts: dict[Tensor, Count] = {}
        self.index_buffers: dict[str, np.ndarray] = {}
        self.computed_with: set[str] = set()
        self.fixed_params: dict[str, str] = {}
        self.site: Site = ("", 0)
        self.step: Hashable = None
        self.interpretations: dict[Hashable, Any] = {}
        self.failed: set[Hashable] = set()
        self.wrong: dict[Site, None] = {}
        self.checking = False
        self.expected: dict[Tensor, Axis] = {}

    # What rules read

    def axis(self, tensor: Tensor) -> Optional[Axis]:
        """Return the labelled axis of a tensor, None if it has none.

        A parameter with one axis longer than 1, say a scale ``[1, C, 1, 1]``, gets its labels here. One with more is
        frozen, because its other axes would not be followed.
        """
        known = self.axes.get(tensor)
        if known is not None or tensor.param is None:
            return known
        wide = [axis for axis, size in enumerate(tensor.shape) if size > 1 or (tensor.param, axis) in self.params]
        if len(wide) != 1:
            self.freeze_param(tensor, "a weight that is computed with")
            return None
        labels = self.param(tensor, wide[0])
        self.axes[tensor] = Axis(wide[0], labels)
        return self.axes[tensor]

    def param(self, tensor: Tensor, axis: int, labels: Optional[np.ndarray] = None) -> np.ndarray:
        """Return the labels of an axis of a parameter, after tying them to ``labels``.

        Raises:
            ContradictionError: there are not as many labels as positions.
        """
        key = (param_name(tensor), axis)
        size = tensor.shape[axis]
        if labels is None:
            if key not in self.params:
                self.params[key] = self.labels.new(size)
        elif len(labels) != size:
            raise ContradictionError(f"{len(labels)} labels for {size} channels")
        elif key not in self.params:
            self.params[key] = labels
        else:
            self.params[key] = self.labels.tie(self.params[key], labels, "shared with channels that stay")
        return self.params[key]

    def choose(self, interpretations: Sequence[Any]) -> Any:
        """Return the interpretation of the current operation that applies.

        Args:
            interpretations: all of them, the most permissive first. One is rejected when the program of a pruned
                model shows that it was wrong.
        """
        if not self.checking:
            count = max(len(interpretations), self.code.interpretations.get(self.site, 1))
            self.code.interpretations[self.site] = count
            number = min(self.code.rejected.get(self.site, 0), len(interpretations) - 1)
            self.interpretations[self.step] = interpretations[number]
        return self.interpretations[self.step]

    def attributes(self, layer: str, value: int) -> list[str]:
        """Return the attributes of a layer that may be the number that its code passes here."""
        banned = self.code.banned.get(self.site[0], ())
        known = self.code.attributes.get(layer, {})
        return [name for name, number in known.items() if number == value and name not in banned]

    def varying(self, array: np.ndarray) -> list[int]:
        """Return the axes along which labels differ, the last one first; the longest axis if none do."""
        roots = self.labels.find(array)
        axes = [i for i in range(array.ndim) if (roots != roots.take([0], i)).any()]
        return axes[::-1] or [int(np.argmax(array.shape))]

    # What rules write

    def propagate(self, tensor: Tensor, axis: Optional[Axis]) -> None:
        """Give a result its labels.

        Raises:
            ContradictionError: there are not as many labels as positions.
        """
        if axis is None or (axis.labels == FIXED).all():
            return
        if len(axis.labels) != tensor.shape[axis.axis] and len(axis.labels) > 1:
            raise ContradictionError(
                f"{len(axis.labels)} channels were expected, {tensor.shape[axis.axis]} are there"
            )
        if len(axis.labels) == 1:
            if not self.checking:  # an axis of size 1 is broadcast, so it has to stay
                self.labels.freeze(axis.labels, "a single channel")
                return
            if tensor not in self.expected:
                return
            axis = replace(axis, axis=self.expected[tensor].axis)
        self.axes[tensor] = axis

    def follow(self, layer: str, attribute: str, labels: np.ndarray) -> None:
        """Record that an attribute of a layer counts these channels, so that it follows them."""
        if self.checking:
            return
        key = (layer, attribute)
        if key in self.sizes:
            labels = self.labels.tie(self.sizes[key], labels, "counted by one number in the code")
        self.sizes[key] = labels
        for log in (self.code.users, self.code.tried):
            log.setdefault((self.site[0], attribute), set()).add(self.site)

    def freeze(self, tensor: Tensor, reason: str) -> None:
        """Keep all channels of a tensor."""
        axis = self.axes.get(tensor)
        if axis is not None:
            self.labels.freeze(axis.labels, reason)
        elif tensor.param is not None:
            self.freeze_param(tensor, reason)

    def freeze_all(self, operations: Sequence[Operation]) -> None:
        """Keep all channels that these operations read and write."""
        for operation in operations:
            for tensor in (*operation.inputs, *operation.outputs):
                self.freeze(tensor, f"sizes written in the code ({operation.name})")

    def freeze_param(self, tensor: Tensor, reason: str) -> None:
        """Keep a parameter as it is along all of its axes."""
        self.fixed_params.setdefault(param_name(tensor), reason)

    def tie_axes(self, array: np.ndarray, keep: int) -> np.ndarray:
        """Tie labels along all axes but ``keep``, so that what is removed is a slice of the tensor.

        Returns:
            Labels ``[size of the axis keep]``.
        """
        for i in range(array.ndim):
            if i != keep and array.shape[i] > 1:
                first = array.take([0], i)
                array = self.labels.tie(array, first, "tied to channels that stay").take([0], i)
        return array.ravel()

    def axis_conflict(self, one: Axis, other: Axis, reason: str) -> None:
        """Handle two axes that should be the same and are not.

        If a reshape chose one of them among several, its interpretation was wrong; otherwise both are frozen.
        """
        origins = {axis.origin for axis in (one, other) if axis.origin is not None}
        open_sites = {site for site in origins if not self.code.is_last(site)}
        self.wrong.update(dict.fromkeys(open_sites))
        if not open_sites:
            for axis in (one, other):
                self.labels.freeze(axis.labels, reason)


def param_name(tensor: Tensor) -> str:
    """Return the name of a parameter.

    Raises:
        ContradictionError: the tensor is not a parameter.
    """
    if tensor.param is None:
        raise ContradictionError("a result where a parameter was expected")
    return tensor.param
