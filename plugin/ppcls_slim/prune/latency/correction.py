"""From milliseconds of layers to those of networks, by networks that were measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..plan import Plan


@dataclass(frozen=True)
class Fit:
    """Milliseconds of a network: ``scale`` times those of its layers, and a constant."""

    scale: float
    constant: float

    @classmethod
    def through(cls, dense: tuple[float, float], pruned: tuple[float, float]) -> Fit:
        """Fit two networks.

        Args:
            dense: milliseconds of its layers, and of the network.
            pruned: the same of a pruned one.
        """
        scale = (dense[1] - pruned[1]) / max(dense[0] - pruned[0], 1e-9)
        constant = dense[1] - scale * dense[0]
        if scale > 0 and constant >= 0:
            return cls(scale, constant)
        return cls(dense[1] / max(dense[0], 1e-9), 0.0)


@dataclass(frozen=True)
class Tried:
    """A plan that was measured.

    Attributes:
        plan: the plan.
        modelled: milliseconds as the layers add up to.
        predicted: the same, corrected by what was measured before.
        measured: milliseconds of the exported network.
    """

    plan: Plan
    modelled: float
    predicted: float
    measured: float


def next_budget(target: float, tried: Sequence[Tried]) -> float:
    """Return the budget of the next round, in modelled milliseconds.

    As many times the last one as it was off; where networks were slower and faster than the target, a point between.

    Args:
        target: milliseconds as measured.
        tried: the plans so far, at least one.
    """
    slow = [one for one in tried if one.measured > target]
    fast = [one for one in tried if one.measured <= target]
    if not slow or not fast:
        return tried[-1].modelled * target / tried[-1].measured
    above = min(slow, key=lambda one: one.measured)
    below = max(fast, key=lambda one: one.measured)
    share = (target - below.measured) / (above.measured - below.measured)
    return below.modelled + float(np.clip(share, 0.2, 0.8)) * (above.modelled - below.modelled)
