"""How long functions take, side by side."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np


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
