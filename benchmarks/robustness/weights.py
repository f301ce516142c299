"""What a checkpoint holds, read without Paddle and without the package: these files are the campaign's own."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np

READ = (".pdparams", ".pdopt")


def digests(folder: Path) -> dict[str, str]:
    """File of weights or of an optimizer -> digest of the numbers in it."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in READ and path.is_file())
    return {path.relative_to(folder).as_posix(): digest(path) for path in found if not _is_aside(path, folder)}


def digest(path: Path) -> str:
    """Of the numbers in a file that ``paddle.save`` wrote; not with the function that the package uses."""
    summary = hashlib.blake2b()
    try:
        _add(summary, _ArraysOnly(io.BytesIO(path.read_bytes())).load())
    except Exception as error:  # a damaged file, which was not written anew
        return f"cannot be read: {type(error).__name__}"
    return summary.hexdigest()


class _ArraysOnly(pickle.Unpickler):
    """Runs nothing but what makes NumPy arrays: the file may be a damaged one."""

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "numpy" and name in ("_reconstruct", "ndarray", "dtype", "scalar", "_frombuffer"):
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"{module}.{name}")


def first_difference(expected: Mapping[str, str], found: Mapping[str, str]) -> Optional[str]:
    """Which file is not as expected, or None."""
    for name in sorted({*expected, *found}):
        if name not in found:
            return f"{name} was not written"
        if name not in expected:
            return f"{name} was written, and is not of the run"
        if expected[name] != found[name]:
            return f"the numbers in {name} differ"
    return None


def _add(summary: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        summary.update(f"{value.dtype}{value.shape}".encode())
        summary.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            if key != "StructuredToParameterName@@":
                summary.update(str(key).encode())
                _add(summary, value[key])
    elif isinstance(value, (list, tuple)):
        for part in value:
            _add(summary, part)
    else:
        summary.update(repr(value).encode())


def _is_aside(path: Path, folder: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(folder).parts)
