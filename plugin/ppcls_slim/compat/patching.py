"""Change attributes of objects, of other packages too, for a while."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
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


@contextmanager
def attribute_restored(objects: Iterable[Any], name: str) -> Iterator[None]:
    """Put an attribute back at the end of a ``with`` block that changes it.

    Args:
        objects: that have the attribute; others are left out.
        name: of the attribute.
    """
    before = [(one, getattr(one, name)) for one in objects if hasattr(one, name)]
    try:
        yield
    finally:
        for one, value in before:
            setattr(one, name, value)
