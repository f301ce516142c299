"""A log file that cannot be written prints a stack for every line.

Symptom: ``--- Logging error ---`` and a traceback, many times, where ``train.log`` lies on a full disk.
Versions: PaddleClas 2.4.2 to develop (Python's logging does it unless told otherwise).
Delete when: PaddleClas opens its log file with a handler that leaves it at one line.
"""

from __future__ import annotations

import logging


def patch() -> None:
    """Let handlers pass over what they cannot write; the same lines are on the screen."""
    logging.raiseExceptions = False
