"""Following labels through a recorded program, operation by operation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Optional

import numpy as np

from ...compat.paddle import paddle
from ...graph.program import Operation, Program, Tensor
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
    """Labels do not fit the tensor, or the labels of another one."""


FAILURES = (Contradiction, ValueError, IndexError, KeyError, TypeError, StopIteration)
"""What a rule raises where an operation is not what the rule is about."""


@dataclass
class Code:
    """What is known about the code of a model, and learnt while readings of it are tried.

    Attributes:
        types: layer -> its class.
        attributes: layer -> its whole numbers, entries of lists as ``name[1]``.
        given_up: site -> how many readings of it turned out to be wrong.
        readings: site -> how many there are.
        users: (kind of layer, attribute) -> sites that count channels with it in this round.
        tried: the same, over all rounds.
        banned: kind of layer -> attributes that must not follow, since other code reads them too.
        balanced: grouped convolutions that keep their groups, and lose the same filters of each.
    """

    types: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, dict[str, int]] = field(default_factory=dict)
    given_up: dict[Any, int] = field(default_factory=dict)
    readings: dict[Any, int] = field(default_factory=dict)
    users: dict[tuple[Any, str], set[Any]] = field(default_factory=dict)
    tried: dict[tuple[Any, str], set[Any]] = field(default_factory=dict)
    banned: dict[Any, set[str]] = field(default_factory=dict)
    balanced: frozenset[str] = frozenset()

    @staticmethod
    def of(model: paddle.nn.Layer) -> Code:
        """Look at the layers of a model."""
        code = Code()
        for name, layer in model.named_sublayers(include_self=True):
            code.types[name] = type(layer).__qualname__
            code.attributes[name] = dict(_numbers(layer))
        return code

    def exhausted(self, site: Any) -> bool:
        """Is the reading of a site that applies the last one?"""
        return self.given_up.get(site, 0) + 1 >= self.readings.get(site, 1)

    def stuck(self, site: Any, more: int = 0) -> bool:
        """Has every reading of a site been given up, the last one too (and then ``more`` times)?"""
        return self.given_up.get(site, 0) >= self.readings.get(site, 1) + more

    def give_up(self, site: Any, all_readings: bool = False) -> None:
        """The current reading of a site was wrong, or whatever would be read there.

        Where all have been given up, it is another place of the same class that changed an attribute
        which this one reads too: those attributes stay as they are.
        """
        if all_readings:
            self.given_up[site] = max(self.given_up.get(site, 0), self.readings.get(site, 1))
        self.given_up[site] = self.given_up.get(site, 0) + 1
        if self.given_up[site] < self.readings.get(site, 1):
            return
        others = {name for (kind, name), sites in self.users.items() if kind == site[0] and sites - {site}}
        others -= self.banned.get(site[0], set())
        others = {name for name in others if site not in self.tried[site[0], name]}
        if others:
            self.banned.setdefault(site[0], set()).update(others)
            for key in [key for key in self.given_up if key[0] == site[0]]:
                del self.given_up[key]


def _numbers(layer: paddle.nn.Layer) -> Iterator[tuple[str, int]]:
    """The whole numbers among the attributes of a layer."""
    for name, value in vars(layer).items():
        if isinstance(value, int) and not isinstance(value, bool):
            yield name, value
        elif isinstance(value, (list, tuple)):
            for i, entry in enumerate(value):
                if isinstance(entry, int) and not isinstance(entry, bool):
                    yield f"{name}[{i}]", entry


def write_number(layer: paddle.nn.Layer, attribute: str, value: int) -> None:
    """Set an attribute, or an entry of one, that ``_numbers`` found."""
    name, _, entry = attribute.rstrip("]").partition("[")
    if entry:
        content = list(getattr(layer, name))
        content[int(entry)] = value
        value = type(getattr(layer, name))(content)
    setattr(layer, name, value)


class Flow:
    """The state of an analysis: which axis of which tensor carries which labels.

    Attributes:
        axes: tensor -> its labelled axis; tensors without one are absent.
        params: (parameter, axis) -> labels ``[size of the axis]``.
        inputs: those of ``params`` that read channels: the input axes of convolutions and of linear
            layers.
        nonzero_if_masked: those of ``inputs`` for which a masked channel is not zero.
        grouped: grouped or depthwise convolution -> label of each of its groups ``[groups]``.
        pointwise: weights of linear layers that work on feature maps ``[n, h, w, c]``, as a convolution
            of kernel 1 would.
        sizes: (layer, attribute) -> labels of the channels that the attribute counts.
        index_buffers: buffer of positions -> labels of the axis that it picks from.
        code: what is known about the model's code.
    """

    def __init__(self, code: Optional[Code] = None, labels: Optional[Labels] = None) -> None:
        self.code = code or Code()
        self.labels = labels or Labels()
        self.sizes: dict[tuple[str, str], np.ndarray] = {}
        self.index_buffers: dict[str, np.ndarray] = {}
        self.axes: dict[Tensor, Axis] = {}
        self.params: dict[tuple[str, int], np.ndarray] = {}
        self.inputs: set[tuple[str, int]] = set()
        self.nonzero_if_masked: set[tuple[str, int]] = set()
        self.pointwise: set[str] = set()
        self.grouped: dict[str, np.ndarray] = {}
        self.fixed_params: dict[str, str] = {}
        self.site: Any = None
        self.step: Any = None
        self.readings: dict[Any, Any] = {}
        self.failed: set[Any] = set()  # operations that their rule could not read
        self.wrong: dict[Any, None] = {}  # sites whose reading turned out to be wrong already
        self.checking = False  # following what is left of labels that are known already
        self.expected: dict[Tensor, Axis] = {}  # the same in the dense program, then

    def run(self, program: Program, sites: list[Any]) -> None:
        """Apply the rule of every operation, in order.

        Args:
            sites: name of the place in the code, for each operation; see ``sites_of``.
        """
        for number, (operation, site) in enumerate(zip(program.operations, sites)):
            self.site, self.step = site, (id(program), number)
            try:
                RULES.get(operation.name, unknown)(self, operation)
            except FAILURES:  # shapes that the rule did not expect
                self.failed.add(self.step)
                for tensor in operation.inputs:
                    self.freeze(tensor, f"{operation.name} with sizes that cannot be followed")
            if self.code.stuck(site):
                self.freeze_all([operation])
        for operation, site in zip(program.operations, sites):
            if self.code.stuck(site, 1):  # the code of the layer may use the size of any of its tensors
                inside = f"{operation.layer}."
                self.freeze_all([op for op in program.operations if f"{op.layer}.".startswith(inside)])

    # What rules read

    def axis(self, tensor: Tensor) -> Optional[Axis]:
        """Return the labelled axis of a tensor, None where it has none.

        A parameter with one axis of its own (a scale ``[1, C, 1, 1]``) gets labels here; one with more
        is held, since nobody follows it further.
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
        """Return the labels of an axis of a parameter, after tying them to ``labels``."""
        key = (tensor.param, axis)
        size = tensor.shape[axis]
        if labels is None:
            if key not in self.params:
                self.params[key] = self.labels.new(size)
        elif len(labels) != size:
            raise Contradiction(f"{len(labels)} labels for {size} channels")
        elif key not in self.params:
            self.params[key] = labels
        else:
            self.params[key] = self.labels.tie(self.params[key], labels, "shared with channels that stay")
        return self.params[key]

    def choose(self, readings: Sequence[Any]) -> Any:
        """Return which of the readings of the current operation applies, the most permissive first.

        A reading is given up when the program of a pruned model shows that it was wrong.
        """
        if not self.checking:
            self.code.readings[self.site] = max(len(readings), self.code.readings.get(self.site, 1))
            self.readings[self.step] = readings[min(self.code.given_up.get(self.site, 0), len(readings) - 1)]
        return self.readings[self.step]

    def attributes(self, layer: str, value: int) -> list[str]:
        """Return the attributes of a layer that may be the number that its code wrote here."""
        banned = self.code.banned.get(self.site[0], ())
        known = self.code.attributes.get(layer, {})
        return [name for name, number in known.items() if number == value and name not in banned]

    def follow(self, layer: str, attribute: str, labels: np.ndarray) -> None:
        """Let an attribute count these channels."""
        if self.checking:
            return
        key = (layer, attribute)
        if key in self.sizes:
            labels = self.labels.tie(self.sizes[key], labels, "counted by one number in the code")
        self.sizes[key] = labels
        for log in (self.code.users, self.code.tried):
            log.setdefault((self.site[0], attribute), set()).add(self.site)

    # What rules say

    def propagate(self, tensor: Tensor, axis: Optional[Axis]) -> None:
        """Label a result."""
        if axis is None or (axis.labels == FIXED).all():
            return
        if len(axis.labels) != tensor.shape[axis.axis] and len(axis.labels) > 1:
            raise Contradiction(f"{len(axis.labels)} channels were expected, {tensor.shape[axis.axis]} are there")
        if len(axis.labels) == 1:
            if not self.checking:  # an axis of one position is broadcast, so it has to stay
                self.labels.freeze(axis.labels, "a single channel")
                return
            if tensor not in self.expected:
                return
            axis = replace(axis, axis=self.expected[tensor].axis)
        self.axes[tensor] = axis

    def freeze(self, tensor: Tensor, reason: str) -> None:
        """Keep all positions of this tensor."""
        axis = self.axes.get(tensor)
        if axis is not None:
            self.labels.freeze(axis.labels, reason)
        elif tensor.param is not None:
            self.freeze_param(tensor, reason)

    def freeze_all(self, operations: Sequence[Operation]) -> None:
        """Keep everything that these operations read and write."""
        for operation in operations:
            for tensor in (*operation.inputs, *operation.outputs):
                self.freeze(tensor, f"sizes written in the code ({operation.name})")

    def freeze_param(self, tensor: Tensor, reason: str) -> None:
        """Keep a parameter as it is on all of its axes."""
        self.fixed_params.setdefault(tensor.param, reason)

    def varying(self, array: np.ndarray) -> list[int]:
        """Return the axes along which labels differ, the last one first; the longest if none do."""
        roots = self.labels.find(array)
        axes = [i for i in range(array.ndim) if (roots != roots.take([0], i)).any()]
        return axes[::-1] or [int(np.argmax(array.shape))]

    def tie_axes(self, array: np.ndarray, keep: int) -> np.ndarray:
        """Tie labels along all axes but one: what is removed has to be a slice of the tensor."""
        for i in range(array.ndim):
            if i != keep and array.shape[i] > 1:
                first = array.take([0], i)
                array = self.labels.tie(array, first, "tied to channels that stay").take([0], i)
        return array.ravel()

    def axis_conflict(self, one: Axis, other: Axis, reason: str) -> None:
        """Two axes that should be the same are not: another choice where there was one, or the end."""
        open_sites = {axis.origin for axis in (one, other) if axis.origin is not None}
        open_sites = {site for site in open_sites if not self.code.exhausted(site)}
        self.wrong.update(dict.fromkeys(open_sites))
        if not open_sites:
            for axis in (one, other):
                self.labels.freeze(axis.labels, reason)


def sites_of(program: Program, types: Mapping[str, str]) -> list[Any]:
    """Name the place in the code of every operation: the same line of the same class is one place.

    Two layers count as the same if they are of one class and run the same operations themselves.

    Args:
        types: name of a layer -> its class.
    """
    own: dict[str, list[str]] = {}
    for operation in program.operations:
        own.setdefault(operation.layer, []).append(operation.name)
    kinds = {layer: (types.get(layer, ""), *names) for layer, names in own.items()}
    seen: Counter = Counter()
    sites = []
    for operation in program.operations:
        sites.append((kinds[operation.layer], seen[operation.layer]))
        seen[operation.layer] += 1
    return sites


def unknown(flow: Flow, operation: Operation) -> None:
    """Whatever has no rule keeps its inputs whole."""
    for tensor in operation.inputs:
        flow.freeze(tensor, f"{operation.name} has no rule")
