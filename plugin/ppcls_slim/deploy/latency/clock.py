"""How long functions take, on a machine that may be busy with other things."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence

import numpy as np

from ..timing import timings

WARMUP = 2


def milliseconds(runs: Sequence[Callable[[], object]], times: int, threads: int) -> list[float]:
    """Milliseconds of each, timed in turns.

    With one thread it is the median time of the CPU: that is the latency of an idle machine, and other processes
    hardly change it. With several it is the shortest by the wall clock, in which other processes had the least part:
    threads wait for each other, and one that another process delays delays them all.

    Args:
        runs: what is timed.
        times: how often each.
        threads: how many the functions use.
    """
    clock = time.process_time if threads == 1 else time.perf_counter
    taken = timings(runs, times, WARMUP, clock) * 1e3
    return [float(value) for value in (np.median(taken, axis=0) if threads == 1 else taken.min(axis=0))]


def cpus_of_process() -> int:
    """How many CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):  # not on Windows and macOS
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
