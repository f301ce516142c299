"""How important each filter is: criteria (one file each in ``criteria/``) and the selection of the lowest scores.

To add a criterion, write one file ``criteria/<name>.py`` with a ``CRITERION``. From outside the project, publish an
entry point of the group ``ppcls_slim.criteria``, see :mod:`ppcls_slim.common.registry`.
"""

from __future__ import annotations

from ...config.prune import CRITERIA
from .criterion import Criterion

__all__ = ["CRITERIA", "Criterion", "get", "names"]


def names() -> list[str]:
    """Return the names that ``Slim.prune.name`` accepts."""
    return CRITERIA.names()


def get(name: str) -> Criterion:
    """Return the criterion of this name.

    Raises:
        SlimError: there is no such criterion, or its entry point does not give a :class:`Criterion`.
    """
    return CRITERIA.get(name, Criterion)
