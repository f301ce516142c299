"""The one exception a user meets: a single line that names the thing and the remedy."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class SlimError(Exception):
    """A mistake in the input, not in the program.

    The tools print it as one line and exit with status 2; anything else that is raised is a bug and
    keeps its traceback.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest known spelling, or an empty string."""
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ""
