"""Keep the log lines of Paddle Inference's graph passes, a hundred for int8, off the terminal.

Symptom: C++ writes them without regard to ``disable_glog_info``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: ``disable_glog_info`` turns them off.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..common.redirect import redirected


@contextmanager
def quiet_passes() -> Iterator[None]:
    """Drop these lines for the length of a ``with`` block.

    What else was written to stderr appears afterwards.
    """
    with tempfile.TemporaryFile() as held, Path(os.devnull).open("wb") as nowhere:
        try:
            with redirected(nowhere, held):
                yield
        finally:
            held.seek(0)
            for line in held:
                if not re.match(rb"(\x1b\[\d+m)?---", line):
                    os.write(2, line)
