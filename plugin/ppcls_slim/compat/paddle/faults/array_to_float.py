"""``float(array)`` of one element in an axis.

Symptom: ``TypeError: only 0-dimensional arrays can be converted to Python scalars`` in the export of QAT.
Versions: Paddle 2.6.2 and 3.3.1 with NumPy 2.4.
Delete when: ``fp_numpy_to_naive`` takes the element, or QAT is not exported through PaddleSlim any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ...patching import replaced


@contextmanager
def patched() -> Iterator[None]:
    """Read such arrays for the length of a ``with`` block."""
    from paddle.quantization.imperative import utils  # takes time, and only exports need it

    with replaced(utils, fp_numpy_to_naive=_naive):
        yield


def _naive(value: np.ndarray) -> Any:
    return float(value.reshape(-1)[0]) if value.size == 1 else value.tolist()
