"""Files and folders that other processes see complete, or not at all: written aside, then renamed."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .errors import writing_to


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Give a temporary path beside ``path`` to write to; it becomes ``path`` if the block ends without an error.

    Missing parent folders are made. After an error nothing is left.
    """
    if path.exists() and not path.is_file():  # a pipe or a device is no file to replace; a folder is refused
        with writing_to(path):
            yield path
        return
    if path.is_symlink():
        path = path.resolve()  # write where it points to, as opening it would
    path.parent.mkdir(parents=True, exist_ok=True)
    writing = _beside(path)
    with writing_to(path, aside=writing):
        try:
            yield writing
            writing.replace(path)
        finally:
            writing.unlink(missing_ok=True)


@contextmanager
def atomic_folder(folder: Path, replaced: Iterable[str] = ()) -> Iterator[Path]:
    """Give a temporary folder to write into; what is in it appears in ``folder`` if the block ends without an error.

    A new folder appears as a whole. If ``folder`` exists, each file is moved into it and replaces one of the same
    name; other files stay. After an error nothing is left.

    Args:
        folder: where the files go.
        replaced: names of files in ``folder`` that are removed even if the block writes none of that name.
    """
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    writing = _beside(folder)
    shutil.rmtree(writing, ignore_errors=True)
    try:
        with writing_to(folder, aside=writing):
            writing.mkdir()
            yield writing
        try:
            writing.rename(folder)
        except OSError:  # it exists and is not empty
            for name in replaced:
                if not (writing / name).exists():
                    (folder / name).unlink(missing_ok=True)
            _move(writing, folder)
    finally:
        shutil.rmtree(writing, ignore_errors=True)


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically."""
    with atomic_path(path) as writing:
        writing.write_text(text, encoding="utf-8")


def write_json(path: Path, data: Any) -> None:
    """Write a JSON file that a person can read, atomically."""
    write_text(path, json.dumps(data, indent=1) + "\n")


def _move(source: Path, target: Path) -> None:
    """Move every file below one folder to the same place below another."""
    for file in sorted(path for path in source.rglob("*") if path.is_file()):
        place = target / file.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        file.replace(place)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.writing-{os.getpid()}")
