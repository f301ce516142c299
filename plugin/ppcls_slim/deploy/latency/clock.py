"""How long functions take, on a machine that may be busy with other things."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np

from ..timing import timings

WARMUP = 2


def milliseconds(runs: Sequence[Callable[[], object]], times: int, threads: int) -> list[float]:
    """Median milliseconds of each, timed in turns.

    With one thread the time is the CPU's: it is the latency of an idle machine, and other processes hardly change it.
    With several it is the wall clock's.

    Args:
        runs: what is timed.
        times: how often each.
        threads: how many the functions use.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    return [float(value) for value in np.median(timings(runs, times, WARMUP, clock), axis=0) * 1e3]
