"""What is known about the Python code of a model: its places, and the numbers of channels that it keeps.

A number that the code passes to an operation looks the same in a recorded program whether it was computed from a
shape (``x.shape[1] // 2``), read from an attribute (``self.width``) or written as a literal (``64``). The analysis
tries the interpretations of each place one after the other, the most permissive one first.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ...compat.paddle import paddle
from ...graph.program import Program

Kind = Hashable
"""A class of layers whose code is the same."""

Site = tuple[Kind, int]
"""A place in the code: the kind of layer, and the number of the operation within the layer."""


@dataclass
class Code:
    """What is known about the code of a model, and learnt while its interpretations are tried.

    Attributes:
        types: layer -> name of its class.
        attributes: layer -> its attributes that are integers; entries of lists as ``name[1]``.
        rejected: site -> how many of its interpretations turned out to be wrong.
        interpretations: site -> how many there are.
        users: (kind of layer, attribute) -> sites that count channels with it in this round.
        tried: the same, over all rounds.
        banned: kind of layer -> attributes that must keep their value, because other code reads them too.
        counted: (parameter, axis) -> positions bool ``[size of the axis]`` that stay, because the code computes a
            number from how many there are, and the reason.
        balanced: names of grouped convolutions that keep all their groups and lose the same filters of each.
    """

    types: dict[str, str] = field(default_factory=dict)
    attributes: dict[str, dict[str, int]] = field(default_factory=dict)
    rejected: dict[Site, int] = field(default_factory=dict)
    interpretations: dict[Site, int] = field(default_factory=dict)
    users: dict[tuple[Kind, str], set[Site]] = field(default_factory=dict)
    tried: dict[tuple[Kind, str], set[Site]] = field(default_factory=dict)
    banned: dict[Kind, set[str]] = field(default_factory=dict)
    counted: dict[tuple[str, int], tuple[np.ndarray, str]] = field(default_factory=dict)
    balanced: frozenset[str] = frozenset()

    @staticmethod
    def of(model: paddle.nn.Layer) -> Code:
        """Read classes and attributes of the layers of a model."""
        code = Code()
        for name, layer in model.named_sublayers(include_self=True):
            code.types[name] = type(layer).__qualname__
            code.attributes[name] = dict(_integers(layer))
        return code

    def is_last(self, site: Site) -> bool:
        """Whether the current interpretation of a site is the last one."""
        return self.rejected.get(site, 0) + 1 >= self.interpretations.get(site, 1)

    def is_stuck(self, site: Site, more: int = 0) -> bool:
        """Whether all interpretations of a site have been rejected, and it ``more`` times after that."""
        return self.rejected.get(site, 0) >= self.interpretations.get(site, 1) + more

    def reject(self, site: Site, all_of_them: bool = False) -> None:
        """Reject the current interpretation of a site.

        Where none is left, the reason is another place of the same kind, which has changed an attribute that this
        place reads too. Those attributes are banned and the interpretations of the kind tried again.

        Args:
            site: the place.
            all_of_them: no interpretation can be right.
        """
        if all_of_them:
            self.rejected[site] = max(self.rejected.get(site, 0), self.interpretations.get(site, 1))
        self.rejected[site] = self.rejected.get(site, 0) + 1
        if self.rejected[site] < self.interpretations.get(site, 1):
            return
        others = {name for (kind, name), sites in self.users.items() if kind == site[0] and sites - {site}}
        others -= self.banned.get(site[0], set())
        others = {name for name in others if site not in self.tried[site[0], name]}
        if others:
            self.banned.setdefault(site[0], set()).update(others)
            for key in [key for key in self.rejected if key[0] == site[0]]:
                del self.rejected[key]


def sites_of(program: Program, types: Mapping[str, str]) -> list[Site]:
    """Return the place in the code of every operation.

    Two layers are of one kind if they have the same class and run the same operations themselves; the same operation
    of two such layers is one site.

    Args:
        program: a recorded forward pass.
        types: layer -> name of its class.
    """
    own: dict[str, list[str]] = {}
    for operation in program.operations:
        own.setdefault(operation.layer, []).append(operation.name)
    kinds = {layer: (types.get(layer, ""), *names) for layer, names in own.items()}
    seen: Counter[str] = Counter()
    sites: list[Site] = []
    for operation in program.operations:
        sites.append((kinds[operation.layer], seen[operation.layer]))
        seen[operation.layer] += 1
    return sites


def _integers(layer: paddle.nn.Layer) -> Iterator[tuple[str, int]]:
    """Yield the attributes of a layer that are integers, and the integers in its lists and tuples."""
    for name, value in vars(layer).items():
        if isinstance(value, int) and not isinstance(value, bool):
            yield name, value
        elif isinstance(value, (list, tuple)):
            for i, entry in enumerate(value):
                if isinstance(entry, int) and not isinstance(entry, bool):
                    yield f"{name}[{i}]", entry


def get_attribute(layer: paddle.nn.Layer, attribute: str) -> int:
    """Return an attribute ``width`` of a layer, or an entry ``widths[1]`` of one that is a list or tuple."""
    name, _, entry = attribute.rstrip("]").partition("[")
    value = getattr(layer, name)
    return int(value[int(entry)] if entry else value)


def set_attribute(layer: paddle.nn.Layer, attribute: str, value: int) -> None:
    """Set an attribute ``width`` of a layer, or an entry ``widths[1]`` of one that is a list or tuple."""
    name, _, entry = attribute.rstrip("]").partition("[")
    new: Any = value
    if entry:
        content = list(getattr(layer, name))
        content[int(entry)] = value
        new = type(getattr(layer, name))(content)
    setattr(layer, name, new)
