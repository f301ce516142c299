"""What Paddle writes while it is imported, and asks nobody to act upon.

Symptom: ``UserWarning: No ccache found``, lines of C++ such as ``W1125 20:53:06.974352 29614 eager_utils.cc:3584]``,
and deprecations of Paddle's, PaddleSlim's and visualdl's own making, before and between what a command has to say.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: Paddle is imported silently.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings

ERRORS_ONLY = "2"
_GLOG = "GLOG_minloglevel"
_MESSAGES = ("No ccache found", "pkg_resources is deprecated", ".*invalid escape sequence.*")
_LOGGERS = ("paddle.static.io", "paddle.static.pir_io")
_CATEGORIES = (DeprecationWarning, PendingDeprecationWarning, FutureWarning)


def hold_back() -> None:
    """Let C++ write errors only, and Python pass over warnings that concern developers of other packages.

    To be called before Paddle is imported. Whoever sets ``GLOG_minloglevel`` or Python's ``-W`` has chosen already.
    """
    os.environ.setdefault(_GLOG, ERRORS_ONLY)
    if sys.warnoptions:
        return
    for message in _MESSAGES:
        warnings.filterwarnings("ignore", message=message)
    for category in _CATEGORIES:
        warnings.filterwarnings("ignore", category=category)
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_is_no_deprecation)


def _is_no_deprecation(record: logging.LogRecord) -> bool:
    return "deprecated" not in record.getMessage()
