"""PaddleSlim 2.6.0, the last release, on Paddle 3.x and NumPy 2; ``faults/`` has one file per fault."""

from __future__ import annotations

import importlib.metadata
import types

from ...common.errors import SlimError
from .faults import numpy_product, renamed_guard


def load_paddleslim() -> types.ModuleType:
    """Import ``paddleslim`` with its faults patched.

    Raises:
        SlimError: it is not installed.
    """
    renamed_guard.patch()
    numpy_product.patch()
    try:
        import paddleslim  # only now: its faults had to be patched first
    except ImportError as error:
        raise SlimError(
            f"PaddleSlim cannot be imported ({error}): install it with pip install --no-deps paddleslim==2.6.0"
        ) from error
    module: types.ModuleType = paddleslim
    return module


def paddleslim_version() -> str:
    """Version of the installed PaddleSlim, or ``none``."""
    try:
        return importlib.metadata.version("paddleslim")
    except importlib.metadata.PackageNotFoundError:
        return "none"
