"""What PaddleClas raises while it builds something from a section of the configuration, as one line with its key.

PaddleClas passes the keys of a section on as arguments, and has no errors of its own: a wrong one is a ``TypeError``
or a bare assertion somewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ...common.errors import SlimError


@contextmanager
def clear_errors(key: str) -> Iterator[None]:
    """Turn any exception of the block into one line.

    Raises:
        SlimError: names the key.
    """
    try:
        yield
    except SlimError:
        raise
    except Exception as error:
        words = " ".join(str(error).split())[:200]
        raise SlimError(f"{key}: {type(error).__name__}{': ' if words else ''}{words}") from error


def with_key(build: Callable[..., Any], key: str) -> Callable[..., Any]:
    """The function, with clear errors."""

    def call(*args: Any, **kwargs: Any) -> Any:
        with clear_errors(key):
            return build(*args, **kwargs)

    return call
