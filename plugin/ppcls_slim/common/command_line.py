"""The command line of this process, for what tells people how to repeat it."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

PROGRAM = "ppcls-slim"
_arguments: list[str] = []


def remember(arguments: Sequence[str]) -> None:
    """Note the arguments of ``ppcls-slim``, the sub-command first."""
    _arguments[:] = map(str, arguments)


def arguments_of(*commands: str) -> list[str]:
    """Return the arguments behind the sub-command if it is one of these, else nothing (used from Python, say)."""
    return _arguments[1:] if _arguments and _arguments[0] in commands else []


def line(command: str, *arguments: str) -> str:
    """Write a command as a shell reads it.

    >>> line("eval", "-c", "my file.yaml")
    "ppcls-slim eval -c 'my file.yaml'"
    """
    return shlex.join([PROGRAM, command, *arguments])
