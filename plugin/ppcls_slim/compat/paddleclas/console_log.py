"""What PaddleClas's logger shows on the console.

PaddleClas gives its logger a handler for the console and one for the log file. The first is another here, which shows
as much as :data:`.console` says; what is written into the file, and how, stays PaddleClas's.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any, Optional

import paddle

from ...common.console import Verbosity, console
from .engine import load_engine
from .logger import PREFIX

load_engine()

from ppcls.utils import logger as _clas  # noqa: E402  (after PaddleClas was found)

_init_logger = _clas.init_logger
_CONSOLE = "stream_handler"
"""The name by which PaddleClas finds its handler, in every release."""
_EVALUATED = "[Eval][Epoch 0][Avg]"
"""How PaddleClas begins the line with the result of an evaluation that no training asked for."""
_TRACEBACKS = logging.Formatter()
_FOR_GPUS = "The training strategy provided by PaddleClas is based on"
"""How PaddleClas begins a warning that it gives for every configuration unless 4 or 8 GPUs train."""
_files: list[Path] = []


def init_logger(*args: Any, **kwargs: Any) -> None:
    """Stand in for ``ppcls.utils.logger.init_logger``: the handler of the console is ours."""
    _init_logger(*args, **kwargs)
    if kwargs.get("log_file"):
        _files[:] = [Path(kwargs["log_file"])]
    handlers = _clas._logger.handlers
    ours = _ConsoleHandler()
    for handler in [one for one in handlers if one.get_name() == _CONSOLE]:
        ours.setFormatter(handler.formatter)
        handlers.remove(handler)
    handlers.insert(0, ours)


def log_file() -> Path:
    """Where the log of the last engine is written; releases differ in the folder."""
    return _files[-1]


class _ConsoleHandler(logging.Handler):
    """Writes to what is the standard output now: a progress bar stands in for it, for a while."""

    def __init__(self) -> None:
        super().__init__()
        self.set_name(_CONSOLE)

    def emit(self, record: logging.LogRecord) -> None:
        """Show a line of the log, if it is one to show; without time and name, unless the whole log is shown."""
        stream = sys.stderr if self._is_aside(record) else sys.stdout
        try:
            text = self._shown(record)
            if text is not None:
                stream.write(f"{text}\n")
                stream.flush()
        except Exception:  # as the handlers of Python's logging do
            self.handleError(record)

    def _shown(self, record: logging.LogRecord) -> Optional[str]:
        if console.verbosity == Verbosity.VERBOSE:
            return self.format(record)
        message = record.getMessage()
        if record.levelno >= logging.WARNING:
            trace = f"\n{_TRACEBACKS.formatException(record.exc_info)}" if record.exc_info else ""
            shown = f"{record.levelname.lower()}: {message.removeprefix(PREFIX)}{trace}"
            means_nothing = message.startswith(_FOR_GPUS) and paddle.get_device() == "cpu"
            return shown if not means_nothing and console.is_new(shown) else None
        shown_from = Verbosity.QUIET if message.startswith(_EVALUATED) else getattr(record, "shown_from", None)
        return None if shown_from is None or shown_from > console.verbosity else message.removeprefix(PREFIX)

    @staticmethod
    def _is_aside(record: logging.LogRecord) -> bool:
        """Warnings are no result: ``-q`` may be read by a program."""
        return console.verbosity != Verbosity.VERBOSE and record.levelno >= logging.WARNING


__all__ = ["init_logger", "log_file"]
