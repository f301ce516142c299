"""The program that a model runs, as data, whichever Paddle version recorded it.

``record.py`` makes one of a model; ``session.py`` and its neighbours read what Paddle recorded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Optional, Union

import numpy as np


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of the program: a result, a parameter or buffer, or a constant.

    Attributes:
        shape: all sizes are known; -1 where the program computes one.
        param: name as in ``model.state_dict()``, for parameters and buffers.
        value: content, for constants and buffers whose content is known (indices and the like).
    """

    shape: tuple[int, ...]
    param: Optional[str] = None
    value: Optional[np.ndarray] = None


@dataclass(frozen=True, eq=False)
class Operation:
    """One operation.

    Attributes:
        name: as in ``op_specs.SPECS``; others keep the name that Paddle has for them.
        attrs: those that ``SPECS`` lists; absent where the program does not say.
        layer: name of the innermost layer whose forward ran, "" for the model itself.
        constants: every number and text that the code gave it, by the name of the attribute or the number of the
            operand in the program. They are compared between two programs of one version of Paddle, not understood.
    """

    name: str
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    attrs: Mapping[str, Any]
    layer: str
    constants: Mapping[Union[str, int], Any] = field(default_factory=dict)


@dataclass
class Program:
    """What a forward pass does.

    Attributes:
        outputs: returned tensors, each with the keys that lead to it (``("features",)``).
        error: why the forward pass stopped; the operations before that are recorded.
        layer: where it stopped.
    """

    operations: list[Operation] = field(default_factory=list)
    outputs: list[tuple[tuple[Any, ...], Tensor]] = field(default_factory=list)
    error: Optional[str] = None
    layer: str = ""


def flatten(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Walk what a model returns, dicts, lists and tuples, down to the tensors, each with the keys to it."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from flatten(item, (*path, key))
    elif isinstance(value, (list, tuple)):
        for key, item in enumerate(value):
            yield from flatten(item, (*path, key))
    elif value is not None:
        yield path, value


def comparable(attributes: Mapping[str, Any]) -> dict[Union[str, int], Any]:
    """The attributes that are numbers, texts or lists of them, without what Paddle notes (``op_callstack``)."""
    return {name: value for name, value in attributes.items() if not name.startswith("op_") and _is_plain(value)}


def _is_plain(value: Any) -> bool:
    return all(map(_is_plain, value)) if isinstance(value, (list, tuple)) else isinstance(value, (int, float, str))
