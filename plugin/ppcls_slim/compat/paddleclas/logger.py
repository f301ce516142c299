"""PaddleClas's logger where PaddleClas runs, else Python's logger ``ppcls_slim``.

Rooms that need nothing else of PaddleClas log through it, so that they work without PaddleClas. Python's logger shows
warnings only, until somebody sets its level (Paddle lets every logger show what is not held back).
"""

from __future__ import annotations

import logging
import sys
from typing import Any

MODULE = "ppcls.utils.logger"
NAME = "ppcls_slim"
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


def _in_charge() -> Any:
    """PaddleClas's, if somebody has set it up."""
    module: Any = sys.modules.get(MODULE)
    return module if getattr(module, "_logger", None) is not None else _python


logger = Logger()

__all__ = ["logger"]
