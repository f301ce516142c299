"""Random damage to trees of plain data, and to bytes."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator, Sequence
from typing import Any, Union

Key = Union[str, int]
SHOWN = 200  # letters of what was done
TYPOS = ("drop", "double", "swap", "case", "space", "letter")
ODD_NUMBERS = (-1, 0, 1, 2, 3, 7, 10**6, 10**14, -(10**30), 0.0, -0.0, 0.5, 1.0, 1.5, 1e-300, 1e308)
NOT_NUMBERS = (float("nan"), float("inf"), float("-inf"))
ODD_TEXTS = (
    "",
    " ",
    "0.3",
    "8",
    "none",
    "True",
    "fpgm",
    "pact",
    "é\u2028x",
    "a" * 300,
    "a.b.c",
    "*",
    "[",
    "..",
    "\0",
)
ODD_THINGS: tuple[Any, ...] = (None, True, False, [], {}, [[]], [None], {"a": 1}, {"": {}}, [1, 2, 3], [10**9], ["x"])


def odd_value(rng: random.Random, code: str) -> Any:
    """A value that no one asked for.

    Args:
        rng: chooses it.
        code: Python source that would show that it was run.
    """
    kind: Sequence[Any] = rng.choice([ODD_NUMBERS, NOT_NUMBERS, ODD_TEXTS, ODD_THINGS, (code,)])
    return copy.deepcopy(rng.choice(kind))


def misspelt(rng: random.Random, word: str) -> str:
    """The word with one typo in it."""
    at, how = rng.randrange(max(1, len(word))), rng.choice(TYPOS)
    if how == "drop":
        return word[:at] + word[at + 1 :]
    if how == "double":
        return word[: at + 1] + word[at:]
    if how == "swap" and len(word) > 1:
        at = min(at, len(word) - 2)
        return word[:at] + word[at + 1] + word[at] + word[at + 2 :]
    if how == "case":
        return word.swapcase() if rng.random() < 0.5 else word[:at] + word[at : at + 1].swapcase() + word[at + 1 :]
    if how == "space":
        return rng.choice([f"{word} ", f" {word}", f"{word}\t"])
    return word[:at] + rng.choice("abcxyz_0-") + word[at + 1 :]


def paths(tree: Any, before: tuple[Key, ...] = ()) -> Iterator[tuple[Key, ...]]:
    """Where the values of a tree are, those of sections included."""
    items = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, value in items:
        yield (*before, key)
        yield from paths(value, (*before, key))


def at(tree: Any, path: tuple[Key, ...]) -> Any:
    """The value at a path."""
    for key in path:
        tree = tree[key]
    return tree


def mutate(rng: random.Random, tree: Any, code: str, below: tuple[Key, ...] = ()) -> str:
    """Change a tree in one place.

    Args:
        rng: chooses what.
        tree: is changed, in place.
        code: see :func:`odd_value`.
        below: only what lies there.

    Returns:
        What was done.
    """
    places = list(paths(at(tree, below), below))
    if not places:
        return "nothing"
    path = rng.choice(places)
    holder, key, name = at(tree, path[:-1]), path[-1], ".".join(map(str, path))
    how = rng.choice(["set", "set", "set", "set", "delete", "rename", "add", "wrap", "swap"])
    if how == "rename" and isinstance(holder, dict):
        new = misspelt(rng, str(key))
        items = [(new if one == key else one, value) for one, value in holder.items()]
        holder.clear()
        holder.update(items)
        return f"{name} renamed to {new!r}"
    if how == "add" and isinstance(holder, dict):
        new = misspelt(rng, str(key))
        holder[new] = odd_value(rng, code)
        return f"{new!r}: {holder[new]!r} added beside {name}"[:SHOWN]
    if how == "delete":
        del holder[key]
        return f"{name} deleted"
    if how == "swap":
        other = rng.choice(places)
        holder[key] = at(tree, other) if other[: len(path)] != path and path[: len(other)] != other else None
        return f"{name} := value of {'.'.join(map(str, other))}"
    value = [holder[key]] if how == "wrap" else odd_value(rng, code)
    holder[key] = value
    return f"{name} := {value!r}"[:SHOWN]


def flip_bits(rng: random.Random, content: bytes) -> bytes:
    """One to eight bits are others."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 8)):
        changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)
