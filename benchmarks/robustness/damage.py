"""Damage to the files of a checkpoint."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass

from .damaged_content import call_code, edit_sidecar, other_json, wrong_content
from .mutation import flip_bits
from .target import WEIGHTS, Target
from .workload import files_of


@dataclass(frozen=True)
class Done:
    """What was done to a checkpoint.

    Attributes:
        what: in words.
        forged: its check sums were made to fit, so that another result may be what it says now.
        missing: files are missing or cannot be one, and the others are as they were.
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
        target.forge_sums()
    return Done(f"{name}: {what}{', sums forged' if forged else ''}", forged, name in MISSING)


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


DAMAGES: dict[str, Callable[[random.Random, Target], str]] = {
    "bits flipped": _flip,
    "more bits flipped": _flip,
    "cut off": _truncate,
    "appended to": _append,
    "a file of another epoch": _swap,
    "files mixed up": _mix_up,
    "files missing": _remove,
    "only weights": _only_weights,
    "not a file": _other_type,
    "JSON edited": edit_sidecar,
    "other JSON": other_json,
    "code": call_code,
    "wrong content": wrong_content,
}
MISSING = ("files missing", "only weights", "not a file")
FORGED = ("JSON edited", "other JSON", "code", "wrong content")
