"""One line of the table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ...common.errors import SlimError

OK, WARNING, ERROR = "ok", "warning", "error"


@dataclass(frozen=True)
class Finding:
    """What was looked at, and what was found.

    Attributes:
        level: ``ok``, ``warning`` or ``error``.
        what: in a word or two.
        text: one line; where the level is not ``ok``, with the remedy.
    """

    level: str
    what: str
    text: str


def ok(what: str, text: str) -> Finding:
    """Nothing to do."""
    return Finding(OK, what, text)


def warning(what: str, text: str) -> Finding:
    """Training works, and something is lost, or gained for nothing."""
    return Finding(WARNING, what, text)


def error(what: str, text: str) -> Finding:
    """Training stops, or computes nonsense."""
    return Finding(ERROR, what, text)


def tried(what: str, check: Callable[[], object], text: str) -> Finding:
    """Call what training calls: its refusal is an error, its silence the given text."""
    try:
        check()
    except SlimError as refused:
        return error(what, str(refused))
    return ok(what, text)
