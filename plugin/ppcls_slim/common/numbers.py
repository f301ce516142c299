"""Numbers as PaddleClas's files write them."""

from __future__ import annotations

import math

from .errors import SlimError


def parse_number(text: str, where: str) -> float:
    """``"1.0/255.0"`` -> 0.00392...; a number or a fraction, and nothing is evaluated.

    Args:
        text: as in the file.
        where: its key, for the message.

    Raises:
        SlimError: it is neither.
    """
    numerator, slash, denominator = text.partition("/")
    try:
        value = float(numerator) / (float(denominator) if slash else 1.0)
    except (ValueError, ZeroDivisionError, OverflowError):
        value = math.nan
    if not math.isfinite(value):
        raise SlimError(f"{where} is {text!r:.80}: give a number, or a fraction such as 1.0/255.0")
    return value
