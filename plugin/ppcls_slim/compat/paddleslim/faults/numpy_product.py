"""NumPy 2 removed ``np.product``, which ``FPGMFilterPruner.get_distance_sum`` calls.

Symptom: ``module 'numpy' has no attribute 'product'``.
Versions: PaddleSlim 2.6.0 with NumPy 2.
Delete when: PaddleSlim is not used any more; it has no newer release.
"""

from __future__ import annotations

import numpy as np


def patch() -> None:
    """Give NumPy the function back."""
    if not hasattr(np, "product"):
        setattr(np, "product", np.prod)  # noqa: B010  (NumPy's types know no such name)
