"""PaddleClas's logger where PaddleClas runs, else Python's logger ``ppcls_slim``.

Rooms that need nothing else of PaddleClas log through it, so that they work without PaddleClas. Python's logger shows
warnings only, until somebody sets its level (Paddle lets every logger show what is not held back). What PaddleClas's
shows on the console: :mod:`.console_log`.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

from ...common.console import Verbosity

MODULE = "ppcls.utils.logger"
NAME = "ppcls_slim"
PREFIX = "ppcls_slim: "
_python = logging.getLogger(NAME)
if _python.level == logging.NOTSET:
    _python.setLevel(logging.WARNING)


class Logger:
    """Passes lines on to whoever is in charge when they are logged."""

    def info(self, line: str) -> None:
        """Log a line of progress."""
        _in_charge().info(line)

    def warning(self, line: str) -> None:
        """Log what the user has to know."""
        _in_charge().warning(line)

    def __getattr__(self, name: str) -> Any:
        """Whatever else is asked of PaddleClas's (``init_logger``), which is imported for it."""
        if name.startswith("__"):
            raise AttributeError(name)
        from .engine import load_engine  # only where somebody asks for PaddleClas's own

        load_engine()
        return getattr(sys.modules[MODULE], name)


logger = Logger()


def say(text: str) -> None:
    """Write into the log what a user follows; ``-q`` does not show it."""
    _log(text, Verbosity.NORMAL)


def result(text: str) -> None:
    """Write into the log what was asked for; it is always shown."""
    _log(text, Verbosity.QUIET)


def _log(text: str, shown_from: Verbosity) -> None:
    for line in text.splitlines():
        _in_charge().info(line, extra={"shown_from": shown_from})


def _in_charge() -> logging.Logger:
    """PaddleClas's, if somebody has set it up."""
    return getattr(sys.modules.get(MODULE), "_logger", None) or _python


__all__ = ["PREFIX", "logger", "result", "say"]
