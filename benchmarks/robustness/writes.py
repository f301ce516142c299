"""Notice every change below a folder, before it happens, and end the process at one of them."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, Optional

CHANGES = {"os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate"}
WRITING = os.O_WRONLY | os.O_RDWR


def before_every_write(folder: Path, act: Callable[[int], None]) -> None:
    """For the rest of this process: call ``act`` with 0, 1, ... before a file or folder below ``folder`` changes."""
    place, count = str(folder), 0

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        if event in CHANGES or (event == "open" and arguments[2] & WRITING):
            path = arguments[0]
            if isinstance(path, (str, os.PathLike)) and str(path).startswith(place):
                count += 1
                act(count - 1)

    sys.addaudithook(hook)


def end_after(seconds: float, how: signal.Signals) -> None:
    """Send this process a signal, in the middle of whatever it then does; ``SIGKILL`` arrives as ``SIGALRM``."""
    if seconds == 0.0:
        os.kill(os.getpid(), how)
        return
    if how is not signal.SIGKILL:  # SIGALRM ends a process without running anything, as SIGKILL does

        def pass_on(signum: int, frame: Optional[FrameType]) -> None:
            os.kill(os.getpid(), how)

        signal.signal(signal.SIGALRM, pass_on)
    signal.setitimer(signal.ITIMER_REAL, seconds)
