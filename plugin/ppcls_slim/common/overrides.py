"""``-o Key.sub.0.key=value``: change one value of a configuration, without evaluating anything."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, MutableMapping
from typing import Any, Protocol

from .console import Verbosity, console
from .errors import SlimError
from .yaml_file import parse_value

CHECKED = "Slim"
"""The section in which a key that nothing reads is an error of its own."""


class Sections(Protocol):
    """A configuration: a dictionary, or one of PaddleClas's class."""

    def __getitem__(self, key: str, /) -> Any: ...

    def __setitem__(self, key: str, value: Any, /) -> None: ...


def override(config: Sections, option: str) -> None:
    """Set what an option says; keys that do not exist are added, as PaddleClas does.

    PaddleClas prints a line for each of them. Here there is a warning for those that look like a slip, which nothing
    would read; the line is shown by ``-v``.

    Args:
        config: is changed.
        option: ``Key.sub=value``. Numbers among the keys count items of a list from 0; the value may contain ``=``.

    Raises:
        SlimError: it is written in another way, or goes through something that has no such part.
    """
    name, equals, text = option.partition("=")
    keys = name.split(".")
    if not equals or not all(keys):
        raise SlimError(f"-o {option:.100}: write it as Key.sub=value")
    part: Any = config
    for i, key in enumerate(keys[:-1]):
        part = _inside(part, keys, i, key)
    value = parse_value(text, f"-o {name}")
    if isinstance(part, list):
        part[_position(part, keys, len(keys) - 1)] = value
        return
    if not isinstance(part, MutableMapping):
        raise SlimError(_no_part(part, keys, len(keys) - 1))
    if keys[-1] not in part:
        _say_new(part, keys, len(keys) - 1, "field")
    part[keys[-1]] = value


def _inside(part: Any, keys: list[str], i: int, key: str) -> Any:
    """Return what the key at ``i`` holds; a new section if there is none."""
    if isinstance(part, list):
        return part[_position(part, keys, i)]
    if not isinstance(part, MutableMapping):
        raise SlimError(_no_part(part, keys, i))
    if key not in part:
        _say_new(part, keys, i, "Series field")
        part[key] = type(part)()
    return part[key]


def _say_new(part: Mapping[str, Any], keys: list[str], i: int, kind: str) -> None:
    if console.verbosity == Verbosity.VERBOSE:
        console.note(f"A new {kind} ({keys[i]}) detected!")
    meant = _meant(part, keys, i)
    if meant:
        console.warn(f"-o {'.'.join(keys)}: there is no such key, it was added; did you mean {meant}?")


def _meant(part: Mapping[str, Any], keys: list[str], i: int) -> str:
    """The key that was meant: of the nearest spelling, or of the same name in a section that was left out."""
    if keys[0] == CHECKED:
        return ""
    near = difflib.get_close_matches(keys[i], list(part), n=1, cutoff=0.8)
    if near:
        return ".".join([*keys[:i], near[0], *keys[i + 1 :]])
    inside = (name for name, section in part.items() if isinstance(section, Mapping) and keys[i] in section)
    section = next(inside, None) if i == 0 else None
    return f"{section}.{'.'.join(keys)}" if section else ""


def _position(part: list[Any], keys: list[str], i: int) -> int:
    key, where = keys[i], ".".join(keys[:i])
    if not key.isdecimal() or int(key) >= len(part):
        raise SlimError(f"-o {'.'.join(keys)}: {where} is a list of {len(part)}; count its items from 0")
    return int(key)


def _no_part(part: Any, keys: list[str], i: int) -> str:
    return f"-o {'.'.join(keys)}: {'.'.join(keys[:i])} is {part!r:.60}, which has no keys; set it as a whole"
