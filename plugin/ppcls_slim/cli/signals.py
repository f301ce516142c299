"""SIGINT and SIGTERM end a command with one line and the status that a shell gives it: 130, 143."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Optional

SIGNALS = (signal.SIGINT, signal.SIGTERM)
_received: list[int] = []


class Interrupted(KeyboardInterrupt):
    """One of the signals came.

    Attributes:
        signum: its number.
    """

    def __init__(self, signum: int):
        super().__init__(signum)
        self.signum = signum


def exit_status(signum: int) -> int:
    """As shells have it."""
    return 128 + signum


@contextmanager
def handled(say: Callable[[int], None]) -> Iterator[None]:
    """Handle the signals while a command runs; afterwards handlers are what they were.

    Until :func:`unwind` is called the process ends at once: while modules are imported there is nothing to clean up,
    and an exception would be swallowed or printed by whatever is being imported.

    Args:
        say: prints the line, given the number of the signal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return

    def end(signum: int, frame: Optional[FrameType]) -> None:
        say(signum)
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_status(signum))

    before = {signum: signal.signal(signum, end) for signum in SIGNALS}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def unwind() -> None:
    """From now on a signal raises :class:`Interrupted`, so that files and processes are cleaned up."""
    _received.clear()
    if threading.current_thread() is threading.main_thread():
        for signum in SIGNALS:
            signal.signal(signum, _interrupt)


def received() -> Optional[int]:
    """The signal that came since :func:`unwind`.

    Where it came in a function that C++ had called (a hook of a layer), Paddle turns :class:`Interrupted` into an
    error of its own.
    """
    return _received[0] if _received else None


def _interrupt(signum: int, frame: Optional[FrameType]) -> None:
    _received.append(signum)
    signal.signal(signum, signal.SIG_DFL)  # a second one ends a clean-up that takes too long
    raise Interrupted(signum)
