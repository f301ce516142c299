"""``fold`` (col2im) cannot be traced with a batch size that is left open, as every export does (MobileViTV2).

Symptom: an assertion that the product of the input's sizes, a -1 among them, is not negative.
Versions: Paddle 3.3.1; 2.6.2 does not check.
Delete when: Paddle accepts -1 there.
"""

from __future__ import annotations

import math
from types import SimpleNamespace

from paddle.nn.functional import common


def patch() -> None:
    """Give the module of ``fold`` a ``math.prod`` that is never negative."""
    if hasattr(common, "math"):
        common.math = SimpleNamespace(**{**vars(math), "prod": lambda sizes: max(math.prod(sizes), 0)})
