"""Numbers as files write them, and as people read them."""

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


def finite_or_none(value: object) -> object:
    """Return None for NaN and infinities, which JSON does not have; anything else as it is."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def si(number: float) -> str:
    """``4351000000`` -> ``4.351 G``."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3f} {letter}"
    return f"{number:g} "
