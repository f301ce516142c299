"""Whether other processes kept the machine busy while something was timed."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Optional

STAT = Path("/proc/stat")
SHORTEST = 0.5
"""Seconds to look at: the system counts in hundredths."""
MOST = 0.1
"""Share of the machine's processors that others may use; a quarter of one processor is allowed on any machine."""


class Watch:
    """Looks from now on how many processors other processes use."""

    def __init__(self) -> None:
        self._start = time.perf_counter()
        self._own, self._all = _own_seconds(), _all_seconds()

    def others(self) -> Optional[str]:
        """Why the machine is busy; None where it is not."""
        processors = os.cpu_count() or 1
        used = self._used_by_others()
        if used <= max(0.25, MOST * processors):
            return None
        return f"other processes used {used:.1f} of {processors} processors"

    def _used_by_others(self) -> float:
        time.sleep(max(0.0, self._start + SHORTEST - time.perf_counter()))
        now = _all_seconds()
        if self._all is None or now is None:
            return os.getloadavg()[0] - 1.0  # ours was one of them
        elapsed = time.perf_counter() - self._start
        return ((now - self._all) - (_own_seconds() - self._own)) / elapsed


def _own_seconds() -> float:
    """Seconds that the processors worked for this process and its children."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _all_seconds() -> Optional[float]:
    """Seconds that they worked at all, or that another machine on this host took; None where no file tells."""
    try:
        line = STAT.read_text(encoding="ascii").split("\n", 1)[0]
        user, nice, system, _idle, _iowait, irq, softirq, steal = (int(word) for word in line.split()[1:9])
    except (OSError, ValueError):
        return None
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")
