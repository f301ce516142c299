"""Paddle 2.6.2 and Paddle 3.3.x behind one import: ``from ..upstream.paddle_lines import paddle``.

The import order matters, so every module of the plugin that needs Paddle gets it from here.
"""

from __future__ import annotations

import importlib.metadata
import math
from types import SimpleNamespace

from ..common.errors import SlimError

PADDLE_PACKAGES = ("paddlepaddle", "paddlepaddle-gpu")


def installed_paddle() -> str:
    """Return the version of the installed Paddle wheel without importing it, or an empty string."""
    for package in PADDLE_PACKAGES:
        try:
            return importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return ""


def _import_scipy_first() -> None:
    """Load SciPy's shared objects before Paddle's.

    Paddle 2.6.2 exports zlib symbols that clash with those of recent SciPy wheels: SciPy imported
    after Paddle ends in ``zlib.error: inconsistent stream state`` or a segmentation fault.
    Needed for 2.6.x only; may go when 2.6 is no longer supported.
    """
    if installed_paddle().startswith("2."):
        import scipy.stats  # noqa: F401


_import_scipy_first()

try:
    import paddle
except ImportError as error:
    raise SlimError(
        f"Paddle cannot be imported ({error}): install it with pip install 'ppcls_slim[cpu]' or 'ppcls_slim[gpu]'"
    ) from error


def _default_device_id() -> None:
    """Give ``ParallelEnv`` a device number on machines without accelerators.

    PaddleClas (develop) asks for ``ParallelEnv().device_id`` in ``classification_eval`` also on CPU,
    where Paddle 2.6.2 and 3.3.1 never set it: ``'ParallelEnv' object has no attribute '_device_id'``.
    May go when either of the two is mended.
    """
    env = paddle.distributed.ParallelEnv
    if not hasattr(env, "_device_id"):
        env._device_id = 0


_default_device_id()


def _fold_of_open_batches() -> None:
    """Let ``fold`` be traced with a batch size that is left open, as every export does (MobileViTV2).

    Paddle 3.3.1 asserts that the product of the input's sizes, a -1 among them, is not negative; 2.6.2 does not.
    """
    from paddle.nn.functional import common

    if hasattr(common, "math"):
        common.math = SimpleNamespace(**{**vars(math), "prod": lambda sizes: max(math.prod(sizes), 0)})


_fold_of_open_batches()


def gpu_available() -> bool:
    """Whether this Paddle was built for CUDA and sees at least one device."""
    return bool(paddle.device.is_compiled_with_cuda()) and paddle.device.cuda.device_count() > 0


def is_pir() -> bool:
    """Whether ``paddle.jit.save`` writes the new program format (``.json`` instead of ``.pdmodel``)."""
    flag = "FLAGS_enable_pir_api"
    try:
        return bool(paddle.get_flags(flag)[flag])
    except ValueError:  # Paddle 2.5 and older do not know the flag
        return False


__all__ = ["gpu_available", "installed_paddle", "is_pir", "paddle"]
