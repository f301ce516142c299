"""``ppcls-slim doctor``: a table of what was looked at, a line each."""

from __future__ import annotations

import argparse
import logging
from collections import Counter

from ..compat.paddleclas.logger import logger
from ..recipes.doctor import ERROR, diagnose
from .configuration import read_config

MARKS = {"ok": "[ok]", "warning": "[warning]", "error": "[error]"}
EXIT_ERROR = 1


def doctor(arguments: argparse.Namespace) -> int:
    """Print the table; return 1 if there is an error in it, else 0.

    Raises:
        SlimError: the file cannot be read as a configuration at all.
    """
    config = read_config(arguments)
    logger.init_logger(log_level=logging.ERROR)  # backbones of 2.5 and newer log while they are built
    levels: Counter[str] = Counter()
    for found in diagnose(config):
        levels[found.level] += 1
        print(f"{MARKS[found.level]:<10}{found.what:<15}{found.text}", flush=True)
    print(", ".join(f"{levels[level]} {level}" for level in MARKS))
    return EXIT_ERROR if levels[ERROR] else 0
