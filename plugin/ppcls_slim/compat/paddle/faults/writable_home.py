"""Paddle, visualdl and others make folders in the home folder when they are imported, and cannot be without.

Symptom: ``OSError`` from ``import paddle`` (``~/.cache/paddle/dataset``) or ``import visualdl`` (``~/.visualdl``).
Versions: Paddle 2.6.2 and 3.3.1, visualdl 2.5.
Delete when: neither writes there before it is asked to.
"""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path


def patch() -> None:
    """Let ``HOME`` be a temporary folder of this process where nothing can be written to it."""
    home = Path("~")
    try:
        home = home.expanduser()
        home.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=home):
            return
    except (OSError, RuntimeError) as error:  # RuntimeError: the user has no home folder
        reason = getattr(error, "strerror", None) or str(error)
    folder = tempfile.mkdtemp(prefix="ppcls_slim-home-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ["HOME"] = folder
    print(
        f"ppcls_slim: warning: the home folder {home} cannot be written to ({reason}); what Paddle and PaddleClas "
        "keep there (downloads, settings) goes to a temporary folder: set HOME to one that stays",
        file=sys.stderr,
    )
