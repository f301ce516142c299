"""Ascending numbers written for people: ``0-3,7``."""

from __future__ import annotations

from collections.abc import Sequence


def to_ranges(numbers: Sequence[int]) -> str:
    """Write ascending numbers as ``0-3,7``."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and number == runs[-1][1] + 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in runs)


def from_ranges(text: str) -> tuple[int, ...]:
    """Read what :func:`to_ranges` wrote.

    Raises:
        ValueError: something in it is not a number.
    """
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return tuple(numbers)
