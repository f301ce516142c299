"""Writes the tables of keys in docs/configuration.md and docs/configuration.zh.md from the configuration classes.

    uv run python docs/tooling/configuration.py

A table stands between the lines ``<!-- keys: prune.schedule -->`` and ``<!-- end of keys -->``, and has the keys of
that section; ``<!-- keys: -->`` is ``Slim`` itself. What a key means is its ``description`` in its class; in Chinese
it is its line in ``configuration_keys.zh.yaml``. ``tests/docs/test_configuration_page.py`` holds that the pages are
as this script writes them, and that every key is on both.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(DOCS.parent / "plugin"))

from key_types import WORDS, type_in_words  # noqa: E402  (beside this file)
from pydantic import BaseModel  # noqa: E402

from ppcls_slim.common.yaml_file import read_yaml  # noqa: E402
from ppcls_slim.config import SlimConfig  # noqa: E402

CHINESE = Path(__file__).with_name("configuration_keys.zh.yaml")
TABLE = re.compile(r"(<!-- keys: *([\w.]*) *-->\n)(.*?)(<!-- end of keys -->)", re.DOTALL)
NAME = r"[A-Za-z]\w*(?:[._][\w*]+)+|[a-z]+-speed"
"""What is code in a description wherever it stands: names with an underscore or a dot in them."""


@dataclass(frozen=True)
class Key:
    """A key of the ``Slim`` section.

    Attributes:
        path: from ``Slim`` on, for example ``prune.schedule.name``.
        schema: JSON Schema of its value.
        default: its default, None if there is none.
        description: what it means, in English.
        is_section: whether its value has keys of its own.
    """

    path: str
    schema: Mapping[str, Any]
    default: object
    description: str
    is_section: bool


@cache
def keys() -> dict[str, Key]:
    """Return every key by its path, in the order of the classes."""
    schema = SlimConfig.model_json_schema()
    return {key.path: key for key in _keys(SlimConfig, schema, schema.get("$defs", {}), "")}


def _keys(model: type[BaseModel], schema: Mapping[str, Any], known: Mapping[str, Any], root: str) -> Iterator[Key]:
    for name, field in model.model_fields.items():
        path, value = f"{root}{name}", schema["properties"][name]
        section = next((one for one in _models(field.annotation)), None)
        default = field.get_default(call_default_factory=True) if not field.is_required() else None
        default = None if isinstance(default, BaseModel) else default
        yield Key(path, value, default, field.description or "", section is not None)
        if section is not None:
            yield from _keys(section, known[section.__name__], known, f"{path}.")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The section classes in ``Optional[PruneConfig]`` and the like."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in getattr(annotation, "__args__", ()):
        yield from _models(part)


@cache
def chinese_sentences() -> dict[str, str]:
    """Return path of a key -> what it means, in Chinese."""
    sentences: dict[str, str] = read_yaml(CHINESE)
    return sentences


def table(section: str, language: str) -> str:
    """Return the Markdown table of a section's keys.

    Args:
        section: path of the section, empty for ``Slim`` itself.
        language: ``en`` or ``zh``.
    """
    words = WORDS[language]
    rows = [words["columns"], "| --- | --- | --- | --- |"]
    sentences = chinese_sentences() if language == "zh" else {}
    for key in keys().values():
        root, _, name = key.path.rpartition(".")
        if root == section:
            meaning = sentences.get(key.path, "") if language == "zh" else in_code(key)
            kind = type_in_words(key.schema, words) if not key.is_section else _section_in_words(key, words)
            rows.append(f"| `{name}` | {kind} | {_written(key.default)} | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n"


def _section_in_words(key: Key, words: Mapping[str, str]) -> str:
    constants = [json.dumps(one["const"]) for one in key.schema.get("anyOf", ()) if "const" in one]
    boolean = any(one.get("type") == "boolean" for one in key.schema.get("anyOf", ()))
    return words["comma"].join(
        [words["section"], *(f"`{one}`" for one in (["true", "false"] if boolean else constants))]
    )


def _written(default: object) -> str:
    """A default as it would stand in the file."""
    if default is None:
        return ""
    if isinstance(default, float):
        return f"`{default:g}`"
    if isinstance(default, list):
        return f"`[{', '.join(map(str, default))}]`"
    return f"`{default}`" if isinstance(default, str) else f"`{json.dumps(default)}`"


def in_code(key: Key) -> str:
    """Return the description with names, and the values that it explains (``value: ...``), between backticks."""
    values = "|".join(map(re.escape, _choices(key.schema)))
    explained = f"|(?:{values})(?=: )" if values else ""
    code = re.compile(rf"(?<![\w`./-])(?:{NAME}{explained})")
    return code.sub(lambda name: f"`{name[0]}`", key.description).replace(" -> ", " → ")


def _choices(schema: Mapping[str, Any]) -> list[str]:
    """The words among the values that a key may have."""
    parts = [schema, *schema.get("anyOf", ())]
    values = [value for part in parts for value in [*part.get("enum", ()), part.get("const")]]
    return [value for value in values if isinstance(value, str)]


def with_tables(page: str, language: str) -> str:
    """Return the text of a page with its tables written anew."""
    return TABLE.sub(lambda found: f"{found[1]}\n{table(found[2], language)}\n{found[4]}", page)


def page_path(language: str) -> Path:
    """Path of the page in a language."""
    return DOCS / ("configuration.md" if language == "en" else f"configuration.{language}.md")


if __name__ == "__main__":
    for one in ("en", "zh"):
        text = page_path(one).read_text(encoding="utf-8")
        page_path(one).write_text(with_tables(text, one), encoding="utf-8")
