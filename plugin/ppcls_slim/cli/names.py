"""Names of commands: as ``ppcls-slim`` has them, and as the scripts in ``tools/`` have them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..common.errors import SlimError, did_you_mean

SCRIPTS = {"export-model": "export", "slim-plan": "plan"}
"""Scripts of another name than their command; ``_`` and ``-`` are the same in all of them."""


def with_command(argv: Sequence[str], known: Iterable[str]) -> list[str]:
    """Put the name of the command where an argument names it otherwise.

    Args:
        argv: the arguments; a command is the first that is no option.
        known: names of commands.

    Raises:
        SlimError: there is no such command.
    """
    names = sorted(known)
    at = next((number for number, word in enumerate(argv) if not word.startswith("-")), None)
    if at is None:
        return list(argv)
    word = argv[at]
    name = word.replace("_", "-")
    name = SCRIPTS.get(name, name)
    if name not in names:
        nearest = did_you_mean(word, [*names, *SCRIPTS])
        raise SlimError(f"'{word}' is not a command{nearest}; there are {', '.join(names)}")
    return [*argv[:at], name, *argv[at + 1 :]]
