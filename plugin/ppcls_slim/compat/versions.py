"""Versions of installed packages, without importing them."""

from __future__ import annotations

import importlib.metadata
from typing import Optional

PADDLE_PACKAGES = ("paddlepaddle", "paddlepaddle-gpu")


def installed_paddle() -> str:
    """Return the version of the installed Paddle wheel, or an empty string."""
    return next((found for found in map(installed, PADDLE_PACKAGES) if found is not None), "")


def installed(package: str) -> Optional[str]:
    """Version of an installed package, None where it is not installed."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
