"""What a configuration has to be understood as, found without the package's own loader."""

from __future__ import annotations

import difflib
from ast import literal_eval
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import yaml

OFF = (None, False)
SECTIONS_TO_SWITCH = ("prune", "quant", "report")


class OneOf(list):  # type: ignore[type-arg]  # of whatever YAML holds
    """What the value of an override may mean: YAML, Python, or its letters."""


class MeaninglessError(Exception):
    """The configuration means nothing, and has to be refused."""


def what_is_written(file: Path, overrides: Sequence[str]) -> dict[str, Any]:
    """Read a YAML file and apply overrides to it.

    Raises:
        MeaninglessError: with the reason.
    """
    try:
        text = file.read_text(encoding="utf-8")
        tree = yaml.safe_load(text)
        _refuse_repeated_keys(yaml.compose(text, Loader=yaml.SafeLoader))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise MeaninglessError(f"it is not YAML: {type(error).__name__}") from None
    if not isinstance(tree, dict):
        raise MeaninglessError("it is not a mapping")
    for one in overrides:
        name, equals, value = one.partition("=")
        if not name or not equals:
            raise MeaninglessError(f"-o {one} is not KEY=VALUE")
        _override(tree, name.split("."), _meanings(value))
    return tree


def difference(written: dict[str, Any], understood: Optional[dict[str, Any]]) -> Optional[str]:
    """Where the ``Slim`` section is not what was written, or None.

    Args:
        written: the whole configuration.
        understood: the validated section.
    """
    for key in written:
        if isinstance(key, str) and key != "Slim" and _like_slim(key):
            return f"the section {key!r} was passed over"
    section = written.get("Slim")
    if isinstance(section, OneOf):
        section = section[0]
    if section in OFF or (section == {} and isinstance(section, dict)):
        return None if understood is None else "a section that is not there was understood"
    if not isinstance(section, dict):
        return f"Slim is {section!r}, which was passed over"[:200]
    if understood is None:
        asked = [key for key in section if not _is_off(section[key])]
        return f"Slim was passed over; it has {asked}" if asked else None
    return _differs(section, understood, "Slim")


def _differs(written: Any, understood: Any, where: str) -> Optional[str]:
    if isinstance(written, OneOf):
        all_found = [_differs(one, understood, where) for one in written]
        return None if None in all_found else all_found[0]
    if isinstance(written, dict):
        if not isinstance(understood, dict):
            return None if not written and understood is None else f"{where} is {understood!r}"
        for key, value in written.items():
            if _is_off(value) and understood.get(str(key)) is None:
                continue
            if str(key) not in understood:
                return f"{where}.{key} was passed over"
            found = _differs(value, understood[str(key)], f"{where}.{key}")
            if found:
                return found
        return None
    if isinstance(written, list) and isinstance(understood, (list, tuple)) and len(written) == len(understood):
        pairs = zip(written, understood)
        return next((found for one, other in pairs if (found := _differs(one, other, where))), None)
    if written is True and where == "Slim.report" and isinstance(understood, dict):
        return None
    same = any(_same(one, understood) for one in (written, _literal(written)))
    return None if same else f"{where}: {written!r} was understood as {understood!r}"[:200]


def _same(written: Any, understood: Any) -> bool:
    if isinstance(understood, str) and isinstance(written, str):
        return written.lower() == understood.lower()
    if isinstance(written, bool) != isinstance(understood, bool):
        return isinstance(understood, bool) and isinstance(written, (int, str))  # 1, "yes": what is meant is clear
    return bool(written == understood)


def _literal(value: Any) -> Any:
    """PaddleClas reads Python literals in texts."""
    if not isinstance(value, str):
        return value
    try:
        return literal_eval(value)
    except Exception:
        return value


def _meanings(text: str) -> OneOf:
    try:
        read = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        read = text
    return OneOf([read, _literal(text), text])


def _override(tree: Any, path: Sequence[str], value: OneOf) -> None:
    for position, key in enumerate(path):
        place: Any = int(key) if isinstance(tree, list) and key.strip().lstrip("-").isdigit() else key
        if not isinstance(tree, (dict, list)) or (isinstance(tree, list) and not _is_index(tree, place)):
            raise MeaninglessError(f"-o {'.'.join(path)}: nothing can lie there")
        if position == len(path) - 1:
            tree[place] = value
        elif isinstance(tree, dict):
            tree = tree.setdefault(place, {})
        else:
            tree = tree[place]


def _is_index(tree: list[Any], place: Any) -> bool:
    return isinstance(place, int) and -len(tree) <= place < len(tree)


def _is_off(value: Any) -> bool:
    return value is None or value is False or (isinstance(value, OneOf) and any(_is_off(one) for one in value))


def _like_slim(key: str) -> bool:
    return bool(difflib.get_close_matches(key.strip().lower(), ["slim"], cutoff=0.75))


def _refuse_repeated_keys(node: Any, top: bool = True) -> None:
    """In the file, in ``Global`` and in ``Slim``: which of two values is meant?"""
    if not isinstance(node, yaml.MappingNode):
        return
    first: dict[Optional[str], Any] = {}
    for key, value in node.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else None
        if name is not None and name in first and not _equal(first[name], value):
            raise MeaninglessError(f"{name!r} stands there twice")
        first[name] = value
        if value is not node and (not top or name in ("Global", "Slim")):
            _refuse_repeated_keys(value, top=False)


def _equal(one: Any, other: Any) -> bool:
    return bool(yaml.serialize(one) == yaml.serialize(other))
