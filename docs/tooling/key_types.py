"""What a key may be, in words, from its JSON Schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

WORDS = {
    "en": {
        "columns": "| key | type | default | meaning |",
        "section": "section",
        "number": "number",
        "integer": "integer",
        "string": "text",
        "boolean": "`true`, `false`",
        "list": "list of {}",
        "mapping": "name → {}",
        "any": "any",
        "or": " or ",
        "comma": ", ",
    },
    "zh": {
        "columns": "| 键 | 类型 | 默认值 | 含义 |",
        "section": "配置段",
        "number": "数值",
        "integer": "整数",
        "string": "字符串",
        "boolean": "`true`、`false`",
        "list": "列表，元素为{}",
        "mapping": "名称 → {}",
        "any": "任意",
        "or": " 或 ",
        "comma": "、",
    },
}
NO_LIMIT = 10**9
"""Limits from here on only keep absurd values out."""


def type_in_words(schema: Mapping[str, Any], words: Mapping[str, str]) -> str:
    """Describe the values that a schema allows.

    Args:
        schema: of the value of one key; ``null`` is left out, which is the same as no key.
        words: one of :data:`WORDS`.
    """
    if "anyOf" in schema:
        members = [type_in_words(one, words) for one in schema["anyOf"] if one.get("type") != "null" and _says(one)]
        return words["or"].join(dict.fromkeys(members))
    if "enum" in schema or "const" in schema:
        values = schema.get("enum", [schema.get("const")])
        return words["comma"].join(f"`{one if isinstance(one, str) else json.dumps(one)}`" for one in values)
    kind = schema.get("type")
    if kind in ("number", "integer"):
        return _with_range(words[kind], schema)
    if kind == "array":
        return words["list"].format(type_in_words(schema.get("items", {}), words))
    if kind == "object":
        return words["mapping"].format(type_in_words(schema.get("additionalProperties", {}), words))
    return words.get(str(kind), words["any"])


def _says(schema: Mapping[str, Any]) -> bool:
    """A pattern alone is another spelling of the names beside it."""
    return set(schema) != {"pattern"}


def _with_range(word: str, schema: Mapping[str, Any]) -> str:
    """``0 ≤ number < 1``."""
    least, more = schema.get("minimum"), schema.get("exclusiveMinimum")
    most, less = schema.get("maximum"), schema.get("exclusiveMaximum")
    most = None if most is not None and most >= NO_LIMIT else most
    low = f"{least:g} ≤ " if least is not None else f"{more:g} < " if more is not None else ""
    high = f" ≤ {most:g}" if most is not None else f" < {less:g}" if less is not None else ""
    if low and not high:
        return f"{word} {'≥' if least is not None else '>'} {least if least is not None else more:g}"
    return f"{low}{word}{high}"
