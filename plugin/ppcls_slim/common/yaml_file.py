"""Read a YAML file of the user's, strictly: what another reader would pass over or execute is one line of error.

Refused are keys that are given twice (other readers take the last), keys that are not text, aliases that refer to
themselves or unfold without end, tags, and files that are not text. A date stays the text that it is, and so does a
key ``on``.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import yaml

from .errors import SlimError

MOST_VALUES, MOST_LEVELS, MOST_CHARACTERS = 100_000, 50, 10_000
"""No configuration comes near; readers of a file take their time or the interpreter's stack somewhere above."""
_TEXT_AS_KEYS = {"on", "off", "yes", "no"}
"""Keys that are text in YAML 1.2, and to editors; PyYAML reads YAML 1.1, where they are true or false."""
_PREFIX = "tag:yaml.org,2002:"
_MERGE = f"{_PREFIX}merge"
_NO_DATES = {
    start: [(tag, pattern) for tag, pattern in resolvers if tag != f"{_PREFIX}timestamp"]
    for start, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class _Loader(yaml.SafeLoader):
    """Numbers, text, lists and mappings only."""

    yaml_implicit_resolvers = _NO_DATES
    yaml_constructors = {  # noqa: RUF012  (as in PyYAML)
        tag: yaml.SafeLoader.yaml_constructors[tag]
        for tag in (None, *(f"{_PREFIX}{kind}" for kind in ("null", "bool", "int", "float", "str", "seq", "map")))
    }


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the sections of a YAML file.

    Raises:
        SlimError: the file cannot be read, or is not a YAML mapping.
    """
    if path.is_dir():
        raise SlimError(f"{path} is a folder; give a YAML file")
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise SlimError(f"{path} cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise SlimError(f"{path} is not text in UTF-8 (byte {error.start}); save it as UTF-8") from None
    content = parse_yaml(text, str(path))
    if content is None:
        raise SlimError(f"{path} is empty; a configuration has sections such as Global and Arch")
    if not isinstance(content, dict):
        raise SlimError(f"{path} holds a {type(content).__name__}, not sections such as Global and Arch")
    return content


def parse_yaml(text: str, name: str) -> Any:
    """Return what a YAML text says.

    Args:
        name: of the text, for messages.

    Raises:
        SlimError: see above.
    """
    try:
        _check_levels(text, name)
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _Unfolded(name).size(node)
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise SlimError(f"{name} is not valid YAML: {' '.join(str(error).split())[:300]}") from None
    except RecursionError:
        raise SlimError(f"{name} is nested deeper than {MOST_LEVELS} levels") from None
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:  # e.g. of `!!int word`
        raise SlimError(f"{name} is not valid YAML: a value is not of the type that its tag says ({error})") from None


def parse_value(text: str, name: str) -> Any:
    """Return the value of an override as PaddleClas reads it in a file: a Python literal, or else YAML.

    ``1e-3``, ``None`` and ``(1, 2)`` are Python's; ``null``, ``true`` and ``[conv1, blocks.*]`` are YAML's.
    Nothing is evaluated.

    Raises:
        SlimError: it is neither.
    """
    if len(text) > MOST_CHARACTERS:
        raise SlimError(f"{name} has {len(text)} characters; {MOST_CHARACTERS} are the most")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        value = ast.literal_eval(tree)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return parse_yaml(text, name)
    for node in ast.walk(tree):
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)] if isinstance(node, ast.Dict) else []
        if len(set(keys)) < len(keys):
            raise SlimError(f"{name}: a key is given twice; keep one")
    return value if _is_plain(value) else parse_yaml(text, name)


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_plain(one) for key, one in value.items())
    if isinstance(value, (list, tuple)):
        return all(map(_is_plain, value))
    return value is None or isinstance(value, (str, bool, int, float))


def _check_levels(text: str, name: str) -> None:
    """Refuse deep nesting before anything recurses into it."""
    levels = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            levels += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            levels -= 1
        if levels > MOST_LEVELS:
            raise SlimError(f"{name} is nested deeper than {MOST_LEVELS} levels")


class _Unfolded:
    """Sizes of the parts of a YAML file with its aliases unfolded; refuses what no configuration is.

    Args:
        name: of the file, for messages.
    """

    def __init__(self, name: str):
        self._name = name
        self._known: dict[int, tuple[int, int]] = {}
        self._open: set[int] = set()

    def size(self, node: yaml.Node, path: tuple[str, ...] = ()) -> tuple[int, int]:
        """Return (values, levels) of a part."""
        if id(node) in self._open:
            raise SlimError(f"{self._name}: {_where(node, path)} refers to itself (*alias inside of its &anchor)")
        if id(node) not in self._known:
            self._open.add(id(node))
            below = [self.size(one, (*path, key)) for key, one in self._parts(node, path)]
            self._open.discard(id(node))
            self._known[id(node)] = 1 + sum(n for n, _ in below), 1 + max((depth for _, depth in below), default=0)
        values, levels = self._known[id(node)]
        if levels > MOST_LEVELS:
            raise SlimError(f"{self._name} is nested deeper than {MOST_LEVELS} levels")
        if values > MOST_VALUES:
            raise SlimError(f"{self._name}: {_where(node, path)} unfolds to {values} values through its aliases")
        return values, levels

    def _parts(self, node: yaml.Node, path: tuple[str, ...]) -> list[tuple[str, yaml.Node]]:
        if isinstance(node, yaml.MappingNode):
            _check_keys(node, path, self._name)
            return [(key.value, value) for key, value in node.value]
        if isinstance(node, yaml.SequenceNode):
            return [(str(i), value) for i, value in enumerate(node.value)]
        if len(node.value) > MOST_CHARACTERS:
            raise SlimError(f"{self._name}: {_where(node, path)} is a text of {len(node.value)} characters")
        return []


def _check_keys(node: yaml.MappingNode, path: tuple[str, ...], name: str) -> None:
    """Every key is text, and is given once; ``<<`` merges keys that may be given again."""
    lines: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if key.tag == _MERGE:
            continue
        if key.tag == f"{_PREFIX}bool" and key.value.lower() in _TEXT_AS_KEYS:
            key.tag = f"{_PREFIX}str"
        if key.tag != f"{_PREFIX}str":
            where = _where(node, path)
            kind = key.tag.removeprefix(_PREFIX)
            raise SlimError(f"{name}, line {line}: a key of {where} is read as {kind}; write it in quotes")
        if key.value in lines:
            where = ".".join((*path, key.value))
            raise SlimError(f"{name}: {where} is given twice, in lines {lines[key.value]} and {line}; keep one")
        lines[key.value] = line


def _where(node: yaml.Node, path: tuple[str, ...]) -> str:
    return ".".join(path) or f"what begins in line {node.start_mark.line + 1}"
