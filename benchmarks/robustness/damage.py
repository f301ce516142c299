"""Damage to the files of a checkpoint."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from .mutation import flip_bits, mutate
from .workload import files_of

WEIGHTS, OPTIMIZER, STATES, SIDECAR = ".pdparams", ".pdopt", ".pdstates", ".slim.json"
NAMED_AFTER_SUMS = ("sha256", "manifest")


@dataclass(frozen=True)
class Target:
    """A checkpoint to damage.

    Attributes:
        prefix: of its files.
        other: of the same scenario's checkpoint of another epoch.
        marker: file that no code may write.
    """

    prefix: Path
    other: Path
    marker: Path

    @property
    def code(self) -> str:
        """Python source that writes the marker."""
        return f"__import__('pathlib').Path({str(self.marker)!r}).touch()"

    def any_file(self, rng: random.Random) -> Path:
        """One of its files."""
        return rng.choice(files_of(self.prefix))

    def file(self, suffix: str) -> Path:
        """The file with that suffix; may not be there."""
        return self.prefix.with_name(self.prefix.name + suffix)


class _Runs:
    """Unpickled, it writes a marker."""

    def __init__(self, how: str, code: str, marker: str):
        self._how, self._code, self._marker = how, code, marker

    def __reduce__(self) -> Any:
        if self._how == "eval":
            return eval, (self._code,)
        if self._how == "system":
            return os.system, (f"touch '{self._marker}'",)
        if self._how == "open":
            return open, (self._marker, "w")
        return Path.touch, (Path(self._marker),)


@dataclass(frozen=True)
class Done:
    """What was done to a checkpoint.

    Attributes:
        what: in words.
        forged: its check sums were made to fit, so that another result may be what it says now.
        missing: files are missing, and the others are as they were.
    """

    what: str
    forged: bool
    missing: bool


def damage(rng: random.Random, target: Target) -> Done:
    """Damage a checkpoint."""
    name, apply = rng.choice(list(DAMAGES.items()))
    what = apply(rng, target)
    forged = name in FORGED and rng.random() < 0.7
    if forged:
        forget_sums(target)
    return Done(f"{name}: {what}{', sums forged' if forged else ''}", forged, name in MISSING)


def forget_sums(target: Target) -> None:
    """Make the sums fit what was damaged, as someone would who means it."""
    for file in files_of(target.prefix):
        if any(word in file.name for word in NAMED_AFTER_SUMS):
            file.unlink()
    sidecar, weights = target.file(SIDECAR), target.file(WEIGHTS)
    try:
        content = json.loads(sidecar.read_bytes())
        content["weights"]["sha256"] = hashlib.sha256(weights.read_bytes()).hexdigest()
        sidecar.write_text(json.dumps(content), encoding="utf-8")
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        pass  # nothing that could hold a sum


def _flip(rng: random.Random, target: Target) -> str:
    file = target.any_file(rng)
    file.write_bytes(flip_bits(rng, file.read_bytes()))
    return f"bits of {file.name}"


def _truncate(rng: random.Random, target: Target) -> str:
    file = target.any_file(rng)
    size = rng.choice([0, rng.randrange(file.stat().st_size), file.stat().st_size - 1])
    os.truncate(file, size)
    return f"{file.name} to {size} bytes"


def _append(rng: random.Random, target: Target) -> str:
    file = target.any_file(rng)
    with file.open("ab") as writing:
        writing.write(rng.choice([b"\0", b"x" * 100, file.read_bytes()]))
    return file.name


def _swap(rng: random.Random, target: Target) -> str:
    theirs = rng.choice(files_of(target.other))
    file = target.file(theirs.name[len(target.other.name) :])
    shutil.copy(theirs, file)
    return f"{file.name} of {target.other.name}"


def _mix_up(rng: random.Random, target: Target) -> str:
    one, other = target.any_file(rng), target.any_file(rng)
    content = one.read_bytes()
    shutil.copy(other, one.with_name("aside"))
    other.write_bytes(content)
    one.with_name("aside").replace(one)
    return f"{one.name} and {other.name}"


def _remove(rng: random.Random, target: Target) -> str:
    gone = [file for file in files_of(target.prefix) if rng.random() < 0.4] or [target.any_file(rng)]
    for file in gone:
        file.unlink()
    return ", ".join(file.name for file in gone)


def _only_weights(rng: random.Random, target: Target) -> str:
    for file in files_of(target.prefix):
        if file.suffix != WEIGHTS:
            file.unlink()
    return target.file(WEIGHTS).name


def _other_type(rng: random.Random, target: Target) -> str:
    file = target.any_file(rng)
    file.unlink()
    how = rng.choice(["folder", "link to itself", "unreadable"])
    if how == "folder":
        file.mkdir()
    elif how == "link to itself":
        file.symlink_to(file.name)
    else:
        file.symlink_to("/proc/self/mem")
    return f"{file.name} is a {how}"


def _edit_sidecar(rng: random.Random, target: Target) -> str:
    file = target.file(rng.choice([SIDECAR, SIDECAR, target.any_file(rng).name[len(target.prefix.name) :]]))
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return "nothing"
    what = mutate(rng, content, target.code)
    file.write_text(json.dumps(content), encoding="utf-8")
    return f"{file.name}: {what}"


def _other_json(rng: random.Random, target: Target) -> str:
    file = target.file(SIDECAR)
    deep = [b"[" * 100_000, b'{"a":' * 100_000]
    content = rng.choice([b"", b"null", b"[]", b"3", b"{", b"\xff\xfe{}", b"{}", b'{"weights": 3}', *deep])
    file.write_bytes(content)
    return f"{file.name} := {content[:20]!r}"


def _code(rng: random.Random, target: Target) -> str:
    file = target.file(rng.choice([WEIGHTS, WEIGHTS, OPTIMIZER, STATES]))
    how = rng.choice(["eval", "system", "open", "touch"])
    runs = _Runs(how, target.code, str(target.marker))
    content: Any = runs
    if rng.random() < 0.5 and file.is_file():
        content = pickle.loads(file.read_bytes())  # of the campaign's own run
        content = [*content, runs] if isinstance(content, list) else {**content, "x": runs}
    file.write_bytes(pickle.dumps(content, protocol=rng.choice([2, 4])))
    return f"{file.name} calls {how}"


def _wrong_content(rng: random.Random, target: Target) -> str:
    file = target.file(rng.choice([WEIGHTS, WEIGHTS, OPTIMIZER, STATES]))
    odd: list[Any] = [[], 3, "x", None, {}, {"a": 1}, {1: 2}, [[]], np.zeros(3), {"a"}]
    content = rng.choice([*odd, {"epoch": "x"}, {"epoch": -1, "metric": None}, {"epoch": 10**9, "metric": 0.5}])
    if rng.random() < 0.6 and file.is_file():
        content = pickle.loads(file.read_bytes())  # of the campaign's own run
        what = _change_one(rng, content, target.code)
    else:
        what = f":= {content!r}"
    file.write_bytes(pickle.dumps(content, protocol=2))
    return f"{file.name} {what}"


def _change_one(rng: random.Random, content: Any, code: str) -> str:
    """Change one array of weights, or one value of anything else."""
    holder = content[0] if isinstance(content, list) and content else content
    items = holder.items() if isinstance(holder, dict) else ()
    arrays = [key for key, value in items if isinstance(value, np.ndarray)]
    if not arrays:
        return mutate(rng, content, code)
    key = rng.choice(arrays)
    value = holder[key]
    types = [value.astype(one) for one in ("float64", "int8", "object", "U8", ">f4")]
    shapes = [value[..., None], value[:0], value.ravel(), value.T]
    holder[key] = rng.choice([*types, *shapes, value.tolist(), np.full_like(value, np.nan), None, 3, {"a": value}])
    return f"{key} has another type or shape: {type(holder[key]).__name__}"


DAMAGES: dict[str, Callable[[random.Random, Target], str]] = {
    "bits flipped": _flip,
    "cut off": _truncate,
    "appended to": _append,
    "a file of another epoch": _swap,
    "files mixed up": _mix_up,
    "files missing": _remove,
    "only weights": _only_weights,
    "not a file": _other_type,
    "JSON edited": _edit_sidecar,
    "JSON edited once more": _edit_sidecar,
    "other JSON": _other_json,
    "code": _code,
    "wrong content": _wrong_content,
}
MISSING = ("files missing", "only weights")
FORGED = ("JSON edited", "other JSON", "code", "wrong content")
