"""``-o Key.sub.0.key=value``: change one value of a configuration, without evaluating anything."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any, Protocol

from .console import console
from .errors import SlimError
from .yaml_file import parse_value


class Sections(Protocol):
    """A configuration: a dictionary, or one of PaddleClas's class."""

    def __getitem__(self, key: str, /) -> Any: ...

    def __setitem__(self, key: str, value: Any, /) -> None: ...


def override(config: Sections, option: str) -> None:
    """Set what an option says; keys that do not exist are added, with the line that PaddleClas prints.

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
        console.note(f"A new field ({keys[-1]}) detected!")
    part[keys[-1]] = value


def _inside(part: Any, keys: list[str], i: int, key: str) -> Any:
    """Return what the key at ``i`` holds; a new section if there is none."""
    if isinstance(part, list):
        return part[_position(part, keys, i)]
    if not isinstance(part, MutableMapping):
        raise SlimError(_no_part(part, keys, i))
    if key not in part:
        part[key] = type(part)()
        console.note(f"A new Series field ({key}) detected!")
    return part[key]


def _position(part: list[Any], keys: list[str], i: int) -> int:
    key, where = keys[i], ".".join(keys[:i])
    if not key.isdecimal() or int(key) >= len(part):
        raise SlimError(f"-o {'.'.join(keys)}: {where} is a list of {len(part)}; count its items from 0")
    return int(key)


def _no_part(part: Any, keys: list[str], i: int) -> str:
    return f"-o {'.'.join(keys)}: {'.'.join(keys[:i])} is {part!r:.60}, which has no keys; set it as a whole"
