"""Find ``ppcls``, the package that holds PaddleClas's training engine, and put it on ``sys.path``.

Looked for in this order:

1. the source checkout that the environment variable ``PPCLS_SLIM_PADDLECLAS`` names;
2. an importable ``ppcls`` (a checkout on ``PYTHONPATH`` or in the current folder);
3. the folder of an installed ``paddleclas`` wheel. 2.4.0 to 2.4.2 contain the engine; 2.4.3 to 2.6.0
   contain ``ppcls.arch`` and ``ppcls.utils`` only.

The backbones may come from another release: see :func:`find_backbones`.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import sys
from pathlib import Path

from ...common.errors import SlimError

VARIABLE = "PPCLS_SLIM_PADDLECLAS"
BACKBONES = "PPCLS_SLIM_BACKBONES"
REMEDY = (
    f"install the last wheel that has it (pip install --no-deps paddleclas==2.4.2) "
    f"or name a PaddleClas source checkout in the environment variable {VARIABLE}"
)


def find_ppcls() -> Path:
    """Return the folder that contains ``ppcls``, with it in front of ``sys.path``.

    Raises:
        SlimError: there is no ``ppcls``, or it has no training engine.
    """
    root = _from_variable() or _importable() or _from_wheel()
    if root is None:
        raise SlimError(f"PaddleClas is not installed: {REMEDY}")
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    from .. import paddle  # noqa: F401  (every import from ppcls imports Paddle: in our way, then, and only now)

    return root


def find_backbones() -> Path | None:
    """Return the folder ``ppcls/arch/backbone`` that the environment variable ``BACKBONES`` asks for.

    The variable names a folder that contains ``ppcls``, such as the unpacked wheel of paddleclas 2.6.0, which has
    newer backbones than 2.4.2 and no engine.

    Raises:
        SlimError: there is no such folder.
    """
    value = os.environ.get(BACKBONES)
    if not value:
        return None
    folder = Path(value).expanduser().resolve() / "ppcls/arch/backbone"
    if not (folder / "__init__.py").is_file():
        raise SlimError(f"{BACKBONES}={value} holds no backbones: there is no ppcls/arch/backbone in it")
    return folder


def ppcls_version() -> str:
    """Describe the PaddleClas in use, for checkpoints and logs: a wheel's version, ``source``, or ``none``."""
    if os.environ.get(VARIABLE):
        return "source"
    try:
        return importlib.metadata.version("paddleclas")
    except importlib.metadata.PackageNotFoundError:
        return "source" if "ppcls" in sys.modules else "none"


def _has_engine(root: Path) -> bool:
    return (root / "ppcls" / "engine" / "engine.py").is_file()


def _from_variable() -> Path | None:
    value = os.environ.get(VARIABLE)
    if not value:
        return None
    root = Path(value).expanduser().resolve()
    if not _has_engine(root):
        raise SlimError(f"{VARIABLE}={value} is not a PaddleClas checkout: it has no ppcls/engine/engine.py")
    return root


def _importable() -> Path | None:
    spec = importlib.util.find_spec("ppcls")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations))).resolve().parent
    return root if _has_engine(root) else None


def _from_wheel() -> Path | None:
    spec = importlib.util.find_spec("paddleclas")
    if spec is None or not spec.submodule_search_locations:
        return None
    root = Path(next(iter(spec.submodule_search_locations))).resolve()
    if not _has_engine(root):
        raise SlimError(f"paddleclas {ppcls_version()} has no training engine: {REMEDY}")
    return root
