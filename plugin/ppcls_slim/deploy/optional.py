"""Packages that only some targets need."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..common.errors import SlimError


@contextmanager
def needs(extra: str, key: str = "Slim.deploy.targets") -> Iterator[None]:
    """Import packages in this block; a missing one names the extra of ``setup.cfg`` that brings it.

    Args:
        extra: name of the target, and of the extra.
        key: of the configuration that asks for it.

    Raises:
        SlimError: one is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise SlimError(
            f"{key}: {extra} needs packages that are not installed ({error}): pip install 'ppcls_slim[{extra}]'"
        ) from error
