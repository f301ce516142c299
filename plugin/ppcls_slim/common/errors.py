"""The one exception a user meets: a single line that names the thing and the remedy."""

from __future__ import annotations

import difflib
import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Optional, Union


class SlimError(Exception):
    """A mistake in the input, not in the program.

    The tools print it as one line and exit with status 2; anything else that is raised is a bug and
    keeps its traceback.
    """


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` for the nearest known spelling, or an empty string."""
    near = difflib.get_close_matches(str(word), list(known), n=1, cutoff=0.6)
    return f" (did you mean '{near[0]}'?)" if near else ""


@contextmanager
def naming(what: Union[str, Path]) -> Iterator[None]:
    """Name a key, an argument, a function or a file in what is wrong with it."""
    try:
        yield
    except SlimError as error:
        raise SlimError(f"{what}: {error}") from None


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_REMEDIES = {
    _FULL: "free space there, or write to another place",
    (errno.EACCES, errno.EPERM, errno.EROFS): "change its permissions, or give another place",
    (errno.EEXIST, errno.ENOTDIR): "a file is where a folder belongs: move it away, or give another place",
    (errno.EISDIR,): "a folder is where a file belongs: move it away, or name another file",
}


def file_error(error: OSError) -> str:
    """What the system says about a file, in one line: path, reason, remedy."""
    remedy = next((text for numbers, text in _REMEDIES.items() if error.errno in numbers), "")
    path = error.filename2 or error.filename
    return f"{f'{path}: ' if path is not None else ''}{error.strerror}{f'; {remedy}' if remedy else ''}"


@contextmanager
def writing_to(path: Path, aside: Optional[Path] = None) -> Iterator[None]:
    """Name this path in the errors of a full disk, which name none.

    Args:
        path: what the user knows.
        aside: what is written in its stead, and is not to be named.
    """
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL and error.filename is None
        if full or (aside is not None and str(error.filename).startswith(str(aside))):
            error.filename = str(path)
        raise
