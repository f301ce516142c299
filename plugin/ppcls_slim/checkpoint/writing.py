"""Checkpoints on disk: saved atomically, and found again after an interruption.

The files of a checkpoint are written into a folder of their own, one rename of that folder says that they are
complete, and moving them into place is finished by whoever comes next if it was interrupted. Processes that save into
one folder do it one after the other.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional

from ..common.errors import SlimError, file_error
from ..common.locks import save_lock
from .manifest import sealed

SIDECAR = ".slim.json"
WEIGHTS = ".pdparams"
OPTIMIZER = ".pdopt"
STATES = ".pdstates"
AVERAGED = ".pdema"
SAFETENSORS = ".safetensors"
SUFFIXES = (WEIGHTS, SAFETENSORS, OPTIMIZER, STATES, AVERAGED)
"""Of all files that a sidecar file may lie beside."""
_WRITING, _COMPLETE = ".writing-", ".complete-"


def with_suffix(path_prefix: Path, suffix: str) -> Path:
    """Append a suffix (``Path.with_suffix`` would cut ``epoch_1.5``)."""
    return path_prefix.with_name(path_prefix.name + suffix)


def path_prefix_of(path: str) -> Path:
    """Path without ``.pdparams``, which PaddleClas accepts with and without; without ``.safetensors`` likewise."""
    for suffix in (WEIGHTS, SAFETENSORS):
        path = path[: -len(suffix)] if path.endswith(suffix) else path
    return Path(path)


def save(folder: Path, prefix: str, write: Callable[[Path], None], sidecar: Optional[Mapping[str, Any]]) -> None:
    """Write a checkpoint atomically.

    Args:
        folder: output folder.
        prefix: ``latest``, ``best_model``, ``epoch_3``.
        write: writes files into the folder that it is given, below which their relative paths are
            those that they will have below ``folder``.
        sidecar: metadata to lie beside every weights file, or None.
    """
    with save_lock(folder):
        finish_interrupted(folder)
        writing = folder / f"{_WRITING}{prefix}"
        shutil.rmtree(writing, ignore_errors=True)
        writing.mkdir()
        write(writing)
        if sidecar is not None:
            for weights in writing.rglob(f"*{WEIGHTS}"):
                write_sidecar(path_prefix_of(str(weights)), sidecar)
        writing.rename(folder / f"{_COMPLETE}{prefix}")
        finish_interrupted(folder)


def write_sidecar(path_prefix: Path, content: Mapping[str, Any]) -> None:
    """Write the sidecar file beside the other files of a checkpoint, with their manifest."""
    files = {suffix: with_suffix(path_prefix, suffix) for suffix in SUFFIXES}
    digests = {suffix: sha256(file) for suffix, file in files.items() if file.is_file()}
    text = json.dumps(sealed(content, digests), indent=1)
    with_suffix(path_prefix, SIDECAR).write_text(text, encoding="utf-8")


def finish_interrupted(folder: Path) -> None:
    """Move the files of every complete checkpoint into place.

    Raises:
        SlimError: there is a folder in the place of a file, or the reverse.
    """
    if not any(folder.glob(f"{_COMPLETE}*")):
        return
    with save_lock(folder):
        for complete in sorted(folder.glob(f"{_COMPLETE}*")):
            for source in sorted(path for path in complete.rglob("*") if path.is_file()):
                _move(source, folder / source.relative_to(complete))
            shutil.rmtree(complete, ignore_errors=True)


def _move(source: Path, target: Path) -> None:
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        source.replace(target)
    except OSError as error:
        raise SlimError(file_error(error)) from None


def sha256(path: Path) -> str:
    """Hex digest of a file, as ``sha256sum`` prints it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
