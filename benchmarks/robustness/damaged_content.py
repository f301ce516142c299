"""Files of a checkpoint that can be read, and hold something else than they should."""

from __future__ import annotations

import json
import os
import pickle
import random
from pathlib import Path
from typing import Any

import numpy as np

from .mutation import mutate
from .target import OPTIMIZER, SIDECAR, STATES, WEIGHTS, Target


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


def edit_sidecar(rng: random.Random, target: Target) -> str:
    """Change the sidecar file in one place."""
    file = target.file(SIDECAR)
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return "nothing"
    what = mutate(rng, content, target.code)
    file.write_text(json.dumps(content), encoding="utf-8")
    return f"{file.name}: {what}"


def other_json(rng: random.Random, target: Target) -> str:
    """Replace the sidecar file."""
    file = target.file(SIDECAR)
    deep = [b"[" * 100_000, b'{"a":' * 100_000]
    content = rng.choice([b"", b"null", b"[]", b"3", b"{", b"\xff\xfe{}", b"{}", b'{"weights": 3}', *deep])
    file.write_bytes(content)
    return f"{file.name} := {content[:20]!r}"


def call_code(rng: random.Random, target: Target) -> str:
    """Let a pickle write the marker."""
    file = target.file(rng.choice([WEIGHTS, WEIGHTS, OPTIMIZER, STATES]))
    how = rng.choice(["eval", "system", "open", "touch"])
    runs = _Runs(how, target.code, str(target.marker))
    content: Any = runs
    if rng.random() < 0.5 and file.is_file():
        content = pickle.loads(file.read_bytes())  # of the campaign's own run
        content = [*content, runs] if isinstance(content, list) else {**content, "x": runs}
    file.write_bytes(pickle.dumps(content, protocol=rng.choice([2, 4])))
    return f"{file.name} calls {how}"


def wrong_content(rng: random.Random, target: Target) -> str:
    """Let a pickle hold something else, or change one of its values."""
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
