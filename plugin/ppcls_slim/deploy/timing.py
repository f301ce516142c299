"""How long functions take, side by side: the median, how the runs spread, and whether the machine was busy."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..report.tables import short
from .busy import Watch

MOST_VARIATION = 0.15
"""Coefficient of variation above which a latency is not to be relied upon."""
ATTEMPTS = 3
"""How often such a latency is measured."""
PATIENCE = 20.0
"""Seconds after which it is not measured again."""


@dataclass(frozen=True)
class Latency:
    """Latency of a function, in milliseconds.

    Attributes:
        median_ms: half of the runs took no longer.
        p10_ms: one of ten runs took no longer.
        p90_ms: nine of ten runs took no longer.
        variation: standard deviation / mean, without the slowest and the fastest twentieth of the runs, which one
            interruption changes.
    """

    median_ms: float
    p10_ms: float
    p90_ms: float
    variation: float

    @classmethod
    def of(cls, seconds: np.ndarray) -> Latency:
        """Summarize runs, ``[times]``."""
        p10, median, p90 = np.percentile(seconds * 1e3, [10, 50, 90])
        ordered = np.sort(seconds)
        cut = len(ordered) // 20
        middle = ordered[cut : len(ordered) - cut]
        return cls(float(median), float(p10), float(p90), float(middle.std() / middle.mean()))

    @property
    def spread(self) -> tuple[float, float]:
        """10th and 90th percentile."""
        return self.p10_ms, self.p90_ms

    def __str__(self) -> str:
        return f"{short(self.median_ms)} ({short(self.p10_ms)}..{short(self.p90_ms)})"


@dataclass(frozen=True)
class Measured:
    """Latencies that were measured together.

    Attributes:
        latencies: of each function.
        warning: why they are not to be relied upon, in one line; None where nothing speaks against them.
    """

    latencies: list[Latency]
    warning: Optional[str]


def measure(runs: Sequence[Callable[[], object]], times: int) -> Measured:
    """Time functions in turns, see :func:`timings`, and look whether something else kept the machine busy.

    Where they vary too much they are measured again; of all attempts the one counts that varies least.
    """
    end = time.perf_counter() + PATIENCE
    best, others, least = _attempt(runs, times)
    for _ in range(ATTEMPTS - 1):
        if least <= MOST_VARIATION or time.perf_counter() > end:
            break
        again = _attempt(runs, times)
        best, others, least = min((best, others, least), again, key=lambda attempt: attempt[2])
    return Measured(best, _warning(others, least))


def _attempt(runs: Sequence[Callable[[], object]], times: int) -> tuple[list[Latency], Optional[str], float]:
    """Latencies, what kept the machine busy, and the largest variation."""
    watch = Watch()
    found = [Latency.of(column) for column in timings(runs, times).T]
    return found, watch.others(), max(one.variation for one in found)


def _warning(others: Optional[str], variation: float) -> Optional[str]:
    reasons = [others] if others is not None else []
    if variation > MOST_VARIATION:
        reasons.append(f"a latency varies by {100 * variation:.0f} % (coefficient of variation)")
    if not reasons:
        return None
    return f"latency was measured on a busy machine: {', '.join(reasons)}; measure again when it is idle"


def latencies(runs: Sequence[Callable[[], object]], times: int) -> list[float]:
    """Median milliseconds of each; see :func:`timings`."""
    return [float(value) for value in np.median(timings(runs, times), axis=0) * 1e3]


def timings(
    runs: Sequence[Callable[[], object]],
    times: int,
    warmup: int = 5,
    clock: Callable[[], float] = time.perf_counter,
) -> np.ndarray:
    """Time functions in turns, so that noise of the machine meets all alike.

    Args:
        runs: what is timed.
        times: how often each.
        warmup: how often each before that.
        clock: returns seconds.

    Returns:
        Seconds, ``[times, len(runs)]``.
    """
    for _ in range(warmup):
        for run in runs:
            run()
    taken = np.zeros((times, len(runs)))
    for row in range(times):
        for column, run in enumerate(runs):
            start = clock()
            run()
            taken[row, column] = clock() - start
    return taken
