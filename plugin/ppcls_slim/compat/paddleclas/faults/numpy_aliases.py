"""NumPy aliases that NumPy has removed.

Symptom: ``module 'numpy' has no attribute 'int'`` in AutoAugment and RandAugment.
Versions: PaddleClas 2.4.2 with NumPy 1.24 or newer; release/2.5 and develop do without the aliases.
Delete when: the 2.4.2 wheel is not supported any more.
"""

from __future__ import annotations

import numpy as np


def patch() -> None:
    """Give NumPy the aliases ``int``, ``float`` and ``bool`` back."""
    for name, builtin in (("int", int), ("float", float), ("bool", bool)):
        if name not in vars(np):
            setattr(np, name, builtin)
