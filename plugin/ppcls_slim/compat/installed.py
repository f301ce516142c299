"""What ``ppcls-slim --version`` says; Paddle is not imported for it."""

from __future__ import annotations

import os
import platform

from .paddleclas.find import VARIABLE
from .versions import installed, installed_paddle


def versions() -> dict[str, str]:
    """Name -> version of Paddle, PaddleClas, PaddleSlim and Python."""
    checkout = os.environ.get(VARIABLE)
    found = {
        "Paddle": installed_paddle(),
        "PaddleClas": f"source checkout {checkout}" if checkout else installed("paddleclas"),
        "PaddleSlim": installed("paddleslim"),
        "Python": platform.python_version(),
    }
    return {name: version or "not installed" for name, version in found.items()}
