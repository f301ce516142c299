"""One training at a time in an output folder, and one save at a time in any folder.

The locks are the operating system's: they end with the process that holds them, however it ends.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Optional

from filelock import FileLock, Timeout

from .atomic import write_json
from .errors import SlimError, file_error

FOLDER, RUN, SAVE, HOLDER = "locks", "run.lock", "save.lock", "holder.json"
NO_LOCKS = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}
"""Errors of file systems that have no locks."""
GRACE = 20.0
"""Seconds to wait for processes that a killed holder has left behind (data workers), which end soon after it."""


@contextmanager
def run_lock(folder: Path, key: str) -> Iterator[None]:
    """Hold an output folder for the length of a ``with`` block. The same process may hold it several times.

    Args:
        folder: is made if it does not exist.
        key: of the configuration, for messages.

    Raises:
        SlimError: another process holds it, or it cannot be written.
    """
    lock = _lock(folder, RUN)
    try:
        (folder / FOLDER).mkdir(parents=True, exist_ok=True)
        first = not lock.is_locked
        lock.acquire(timeout=GRACE if _holder_is_dead(folder) else 0)
        if first:
            since = time.strftime("%Y-%m-%d %H:%M:%S")
            write_json(folder / FOLDER / HOLDER, {"pid": os.getpid(), "host": socket.gethostname(), "since": since})
    except Timeout:
        raise SlimError(
            f"{key}: {folder} is in use by another training{_described(_holder(folder))}: wait for it or stop it, or "
            f"give this one another folder with -o {key}=..."
        ) from None
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise SlimError(f"{key}: {folder} cannot be written: {file_error(error)}") from None
    try:
        yield
    finally:
        lock.release()


def held_by(folder: Path) -> Optional[str]:
    """Say who holds an output folder, or None; nothing is made or changed."""
    lock = folder / FOLDER / RUN
    if not lock.is_file():
        return None
    try:
        with FileLock(lock.resolve(), timeout=0, is_singleton=False):
            return None
    except Timeout:
        return f"another training{_described(_holder(folder))}"
    except OSError:
        return None  # cannot be locked here: training says why


@contextmanager
def save_lock(folder: Path) -> Iterator[None]:
    """Wait until no other process saves into a folder, and keep others waiting for the length of a ``with`` block."""
    (folder / FOLDER).mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        try:
            held.enter_context(_lock(folder, SAVE))
        except OSError as error:
            if error.errno not in NO_LOCKS:
                raise
        yield


@contextmanager
def while_nobody_saves(folder: Path) -> Iterator[None]:
    """The same for reading: nothing is made in folders that nobody saves into, and read-only ones are read."""
    with ExitStack() as held:
        if (folder / FOLDER / SAVE).is_file() and os.access(folder / FOLDER / SAVE, os.W_OK):
            held.enter_context(save_lock(folder))
        yield


def _lock(folder: Path, name: str) -> FileLock:
    """One object a file, so that a process does not lock itself out."""
    return FileLock(folder.resolve() / FOLDER / name, thread_local=False, is_singleton=True)


def _holder(folder: Path) -> dict[str, Any]:
    try:
        holder = json.loads((folder / FOLDER / HOLDER).read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return holder if isinstance(holder, dict) else {}


def _described(holder: dict[str, Any]) -> str:
    if not holder:
        return ""
    return f" (process {holder.get('pid')} on {holder.get('host')}, since {holder.get('since')})"


def _holder_is_dead(folder: Path) -> bool:
    holder = _holder(folder)
    if holder.get("host") != socket.gethostname() or not isinstance(holder.get("pid"), int):
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        return False
    return False
