"""Keep the log lines of Paddle Inference's graph passes, a hundred for int8, off the terminal.

Symptom: C++ writes them without regard to ``disable_glog_info``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: ``disable_glog_info`` turns them off.
"""

from __future__ import annotations

import ctypes
import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def quiet_passes() -> Iterator[None]:
    """Drop these lines for the length of a ``with`` block.

    What else was written to stderr appears afterwards.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    with tempfile.TemporaryFile() as held, Path(os.devnull).open("wb") as nowhere:
        kept = os.dup(1), os.dup(2)
        os.dup2(nowhere.fileno(), 1)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            ctypes.CDLL(None).fflush(None)  # what C++ still holds back belongs there too
            for stream, original in enumerate(kept, 1):
                os.dup2(original, stream)
                os.close(original)
            held.seek(0)
            for line in held:
                if not re.match(rb"(\x1b\[\d+m)?---", line):
                    os.write(2, line)
