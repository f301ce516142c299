"""Ascending numbers written for people: ``0-3,7``."""

from __future__ import annotations

from collections.abc import Sequence

LIMIT = 2**22
"""No axis has as many positions; a damaged number must not fill the memory."""


def to_ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers as ``0-3,7``."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def from_ranges(text: str, limit: int = LIMIT) -> tuple[int, ...]:
    """Read what :func:`to_ranges` wrote.

    Args:
        text: ascending numbers.
        limit: all of them have to be below it.

    Raises:
        ValueError: something in it is not a number, not ascending, or too large.
    """
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        start, stop = int(first), int(last or first) + 1
        if not (numbers[-1] if numbers else -1) < start < stop <= min(limit, LIMIT):
            raise ValueError(f"{part} is not above the numbers before it and below {min(limit, LIMIT)}")
        numbers.extend(range(start, stop))
    return tuple(numbers)
