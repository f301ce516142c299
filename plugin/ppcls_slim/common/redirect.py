"""Send what C++ writes to the terminal to files: Python's ``redirect_stdout`` does not see it."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO


@contextmanager
def redirected(stdout: BinaryIO, stderr: BinaryIO) -> Iterator[None]:
    """Send the standard output and error of the process to open files for the length of a ``with`` block."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    os.dup2(stdout.fileno(), 1)
    os.dup2(stderr.fileno(), 2)
    try:
        yield
    finally:
        sys.stdout.flush()
        ctypes.CDLL(None).fflush(None)  # what C++ still holds back belongs there too
        for stream, original in enumerate(kept, 1):
            os.dup2(original, stream)
            os.close(original)
