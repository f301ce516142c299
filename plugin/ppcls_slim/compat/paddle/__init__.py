"""Paddle 2.6.2 and Paddle 3.3.x behind one import: ``from ..compat.paddle import paddle``.

The import order matters, so every module of the plugin that needs Paddle gets it from here. ``faults/`` has one file
per fault of a release.
"""

from __future__ import annotations

from ...common.errors import SlimError
from ..versions import installed_paddle
from .faults import scipy_first, signal_handlers, writable_home

if installed_paddle().startswith("2."):
    scipy_first.patch()

writable_home.patch()
try:
    with signal_handlers.kept():
        import paddle
except ImportError as error:
    raise SlimError(
        f"Paddle cannot be imported ({error}): install it with pip install 'ppcls_slim[cpu]' or 'ppcls_slim[gpu]'"
    ) from error

from .faults import default_device_id, fold_open_batch  # noqa: E402  (Paddle first)

default_device_id.patch()
fold_open_batch.patch()


def gpu_available() -> bool:
    """Whether this Paddle was built for CUDA and sees at least one device."""
    return bool(paddle.device.is_compiled_with_cuda()) and paddle.device.cuda.device_count() > 0


def default_device() -> str:
    """Return ``gpu`` if there is one that Paddle can use, else ``cpu``."""
    return "gpu" if gpu_available() else "cpu"


def usable(device: str) -> bool:
    """Whether Paddle can use a device of this name, such as ``xpu``; it is then the current one."""
    try:
        paddle.device.set_device(device)
    except Exception:  # Paddle's releases raise ValueError, RuntimeError and errors of their own
        return False
    return True


def is_pir() -> bool:
    """Whether ``paddle.jit.save`` writes PIR programs (``.json``) instead of legacy IR (``.pdmodel``)."""
    flag = "FLAGS_enable_pir_api"
    try:
        return bool(paddle.get_flags(flag)[flag])
    except ValueError:  # Paddle 2.5 and older do not know the flag
        return False


__all__ = ["default_device", "gpu_available", "installed_paddle", "is_pir", "paddle", "usable"]
