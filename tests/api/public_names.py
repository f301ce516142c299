"""The public names of ``ppcls_slim`` and the examples of their docstrings."""

from __future__ import annotations

import doctest
import inspect

import ppcls_slim
from ppcls_slim.common.callable_rooms import CallableRoom

NAMES = [name for name in ppcls_slim.__all__ if name not in ("SlimError", "__version__")]


def object_of(name: str):
    found = getattr(ppcls_slim, name)
    return found.function() if isinstance(found, CallableRoom) else found


def example_of(name: str) -> doctest.DocTest:
    text = inspect.getdoc(object_of(name)) or ""
    assert "Example:\n" in text, f"{name} has no example"
    return doctest.DocTestParser().get_doctest(text.partition("Example:\n")[2], {}, name, None, 0)


def source_of(name: str) -> str:
    """The statements of an example, without what they print."""
    return "".join(example.source for example in example_of(name).examples)
