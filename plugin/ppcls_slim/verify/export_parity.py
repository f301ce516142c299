"""Does the exported model compute what the trained one does?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..common.errors import SlimError

TOLERANCE = 1e-3
"""Largest relative difference. float32 sums in another order (oneDNN fuses and blocks) differ by a few 1e-6."""


@dataclass(frozen=True)
class Parity:
    """How close two sets of outputs are.

    Attributes:
        samples: how many inputs were compared.
        source: where they came from.
        largest: largest absolute difference, relative to the largest absolute output.
        same_top1: share of inputs with the same largest output.
    """

    samples: int
    source: str
    largest: float
    same_top1: float

    def line(self) -> str:
        """The result in one line."""
        return (
            f"{self.samples} samples ({self.source}): largest relative difference {self.largest:.2e}, "
            f"same top-1 on {100 * self.same_top1:.1f} %"
        )


def compare(expected: np.ndarray, found: np.ndarray, source: str) -> Parity:
    """Compare outputs.

    Args:
        expected: of the trained model, ``[n, ...]``.
        found: of the exported model, for the same inputs.
        source: where the inputs came from, in words.

    Raises:
        SlimError: the shapes differ.
    """
    if expected.shape != found.shape:
        raise SlimError(
            f"the exported model gives {list(found.shape)} where the trained one gives {list(expected.shape)}"
        )
    scale = max(float(np.abs(expected).max()), 1e-12)
    n = len(expected)
    same = expected.reshape(n, -1).argmax(1) == found.reshape(n, -1).argmax(1)
    return Parity(n, source, float(np.abs(expected - found).max()) / scale, float(same.mean()))


def check(parity: Parity, tolerance: float = TOLERANCE) -> None:
    """Refuse an export that computes something else.

    Raises:
        SlimError: the largest relative difference is above the tolerance, or is not a number.
    """
    if not parity.largest <= tolerance:  # also where it is NaN
        raise SlimError(f"the exported model does not compute what the trained one does: {parity.line()}")
