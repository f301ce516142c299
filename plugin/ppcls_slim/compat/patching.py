"""Replace attributes of another package for a while."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def replaced(module: Any, **names: Any) -> Iterator[None]:
    """Replace attributes of a module or class for the length of a ``with`` block.

    Names that it does not have are left out.
    """
    before = {name: getattr(module, name) for name in names if hasattr(module, name)}
    for name in before:
        setattr(module, name, names[name])
    try:
        yield
    finally:
        for name, value in before.items():
            setattr(module, name, value)
