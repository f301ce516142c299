"""PaddleSlim 2.6.0, the last release, on Paddle 3.x and NumPy 2."""

from __future__ import annotations

import importlib.metadata
import types
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ..common.errors import SlimError
from .paddle import paddle


def load_paddleslim() -> types.ModuleType:
    """Import ``paddleslim``, mended.

    Raises:
        SlimError: it is not installed.
    """
    _renamed_guard()
    _product()
    try:
        import paddleslim
    except ImportError as error:
        raise SlimError(
            f"PaddleSlim cannot be imported ({error}): install it with pip install --no-deps paddleslim==2.6.0"
        ) from error
    return paddleslim


def paddleslim_version() -> str:
    """Version of the installed PaddleSlim, or ``none``."""
    try:
        return importlib.metadata.version("paddleslim")
    except importlib.metadata.PackageNotFoundError:
        return "none"


@contextmanager
def legacy_ir() -> Iterator[None]:
    """Trace into the program format that PaddleSlim reads.

    On Paddle 3.x programs are PIR, whose operations have no ``type``: ``Operation has no attribute
    'type'`` in ``GraphWrapper``. ``FPGMFilterPruner``, ``prune_vars`` and ``dygraph_flops`` work inside
    this guard. May go with PaddleSlim.
    """
    utils = getattr(paddle, "pir_utils", None)
    if not hasattr(utils, "OldIrGuard"):  # Paddle 2.6
        yield
        return
    with utils.OldIrGuard():
        yield


def _renamed_guard() -> None:
    """Paddle 3.0 renamed ``_to_static_mode_guard_``, which ``paddleslim.core.dygraph`` calls."""
    base = paddle.base.dygraph.base
    if not hasattr(base, "_to_static_mode_guard_"):
        base._to_static_mode_guard_ = base.to_static_mode_guard


def _product() -> None:
    """NumPy 2 removed ``np.product``, which ``FPGMFilterPruner.get_distance_sum`` calls."""
    if not hasattr(np, "product"):
        np.product = np.prod
