"""Labels on channels: which positions of which tensors are the same thing.

Every position of an axis that may shrink carries a label, an integer. Operations tie labels (an
addition: position 3 here is position 3 there), freeze them, or hand them on. A set of labels that are
tied is what can be removed together, or not at all.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

FIXED = -1
"""The label of positions that can never be removed: the image, padding, things not understood."""


@dataclass(frozen=True, eq=False)
class Axis:
    """The one axis of a tensor that may shrink.

    Attributes:
        axis: which.
        labels: int64 ``[size of the axis]``.
        zero_if_masked: whether the tensor is zero at the positions whose label has been masked. After a
            sigmoid it is not; multiplied by something masked it is again.
        origin: the reshape that chose this axis among several, if one did.
    """

    axis: int
    labels: np.ndarray
    zero_if_masked: bool = True
    origin: Any = None


class Labels:
    """A forest of labels, and why some of them are frozen."""

    def __init__(self) -> None:
        self.parent = np.zeros(0, np.int64)
        self.frozen: list[tuple[np.ndarray, str]] = []

    def new(self, size: int) -> np.ndarray:
        """Return labels ``[size]`` that nothing is tied to yet."""
        labels = np.arange(len(self.parent), len(self.parent) + size)
        self.parent = np.concatenate([self.parent, labels])
        return labels

    def find(self, labels: np.ndarray) -> np.ndarray:
        """Return for each label the one that stands for all that are tied to it; FIXED stays."""
        root = np.where(labels == FIXED, FIXED, self.parent[labels]) if len(self.parent) else labels
        while True:
            above = np.where(root == FIXED, FIXED, self.parent[root]) if len(self.parent) else root
            if np.array_equal(above, root):
                return root
            root = above

    def tie(self, left: np.ndarray, right: np.ndarray, reason: str) -> np.ndarray:
        """Tie two arrays of labels position by position, and return the result.

        Args:
            reason: for labels that are tied to a FIXED position, and so become frozen.
        """
        left, right = np.broadcast_arrays(left, right)
        a, b = self.find(left).ravel(), self.find(right).ravel()
        self.freeze(a[(b == FIXED) & (a != FIXED)], reason)
        self.freeze(b[(a == FIXED) & (b != FIXED)], reason)
        both = (a != b) & (a != FIXED) & (b != FIXED)
        for one, other in zip(a[both].tolist(), b[both].tolist()):
            self._tie(one, other)
        return np.where((left == FIXED) | (right == FIXED), FIXED, left)

    def _tie(self, one: int, other: int) -> None:
        parent = self.parent
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        while parent[other] != other:
            parent[other] = parent[parent[other]]
            other = parent[other]
        if one != other:
            parent[max(one, other)] = min(one, other)

    def freeze(self, labels: Optional[np.ndarray], reason: str) -> None:
        """Declare that these labels cannot be removed."""
        if labels is not None and labels.size:
            self.frozen.append((labels[labels != FIXED], reason))

    def reasons(self) -> dict[int, str]:
        """Return for each frozen root the reason that was given first."""
        reasons: dict[int, str] = {}
        for labels, reason in self.frozen:
            for root in dict.fromkeys(self.find(labels).tolist()):
                reasons.setdefault(root, reason)
        return reasons

    def unfrozen(self, reasons: Collection[int]) -> np.ndarray:
        """Return a table: root -> itself, or FIXED if it is in ``reasons``; its last entry is FIXED's."""
        table = np.arange(len(self.parent) + 1)
        table[-1] = FIXED
        table[list(reasons)] = FIXED
        return table
