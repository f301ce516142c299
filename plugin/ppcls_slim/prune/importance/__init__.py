"""Criteria: how filters are scored. One file each; pure functions of weights.

To add one, write a file beside this one that calls :func:`register`, and import it in the last lines
below. From outside the project, publish an entry point of the group ``ppcls_slim.criteria`` whose
value is a :class:`Criterion`::

    [options.entry_points]
    ppcls_slim.criteria =
        my_score = my_package.my_module:CRITERION
"""

from __future__ import annotations

import importlib.metadata
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ...common.errors import SlimError, did_you_mean

ENTRY_POINTS = "ppcls_slim.criteria"

Score = Callable[[np.ndarray, Optional[np.ndarray]], np.ndarray]
Bounds = Callable[[np.ndarray], Optional[tuple[np.ndarray, np.ndarray]]]


@dataclass(frozen=True)
class Criterion:
    """A way to score filters; those with the lowest scores are pruned.

    Attributes:
        name: as written in ``Slim.prune.name``.
        score: (weight ``[out_c, ...]``, rows or None for all) -> scores ``[rows]``, in the arithmetic of
            the upstream function that it follows. This is the definition; it may be slow.
        bounds: weight -> (estimate ``[out_c]``, margin ``[out_c]``) with ``|score - estimate| <=
            margin``, fast; or None where no margin can be given for these weights. Selection uses it
            and calls ``score`` only for the filters about which the estimates cannot decide.
    """

    name: str
    score: Score
    bounds: Optional[Bounds] = None


_CRITERIA: dict[str, Criterion] = {}


def register(criterion: Criterion) -> Criterion:
    """Make a criterion known under its name and return it."""
    _CRITERIA[criterion.name] = criterion
    return criterion


def names() -> list[str]:
    """Names that ``Slim.prune.name`` accepts, the project's own first."""
    return [*_CRITERIA, *(name for name in _entry_points() if name not in _CRITERIA)]


def get(name: str) -> Criterion:
    """Return the criterion of this name.

    Raises:
        SlimError: there is none, or its entry point is not a :class:`Criterion`.
    """
    if name in _CRITERIA:
        return _CRITERIA[name]
    point = _entry_points().get(name)
    if point is None:
        raise SlimError(f"'{name}' is no pruning method{did_you_mean(name, names())}")
    criterion = point.load()
    if not isinstance(criterion, Criterion):
        raise SlimError(f"entry point {ENTRY_POINTS}:{name} ({point.value}) is not a ppcls_slim Criterion")
    return criterion


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    points = importlib.metadata.entry_points()
    # Python 3.9 returns a dictionary of lists here, 3.10 and later an object with select().
    found = points.select(group=ENTRY_POINTS) if hasattr(points, "select") else points.get(ENTRY_POINTS, [])
    return {point.name: point for point in found}


from . import fpgm, l1_norm, l2_norm  # noqa: E402,F401  (one line a criterion)
