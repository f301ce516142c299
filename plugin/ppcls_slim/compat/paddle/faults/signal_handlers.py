"""Importing Paddle replaces the handler of SIGTERM by one that prints a trace of the C++ stack.

Symptom: ``Termination signal is detected by the operating system`` and a stack, where a line is expected.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: Paddle leaves handlers alone, or importing it takes a flag for that.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def kept() -> Iterator[None]:
    """Put the handlers back after a block that imports Paddle; what is sent meanwhile waits for that."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set handlers
        return
    handlers = {signum: signal.getsignal(signum) for signum in SIGNALS}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        for signum, handler in handlers.items():
            if handler is not None:  # None: not set by Python
                signal.signal(signum, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
