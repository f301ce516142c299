"""The configuration page has every key, in both languages, as the configuration classes have it."""

from __future__ import annotations

import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs/tooling"))
import configuration
from key_types import WORDS, type_in_words

WRITE = "run: uv run python docs/tooling/configuration.py"


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_page_is_as_it_would_be_written(language):
    page = configuration.page_path(language).read_text(encoding="utf-8")
    assert configuration.with_tables(page, language) == page, WRITE


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_section_has_a_table(language):
    page = configuration.page_path(language).read_text(encoding="utf-8")
    sections = ["", *(key.path for key in configuration.keys().values() if key.is_section)]
    assert sorted(found[2] for found in configuration.TABLE.finditer(page)) == sorted(sections)


def test_every_key_has_a_description():
    assert [key.path for key in configuration.keys().values() if not key.description] == []


def test_every_key_has_a_chinese_sentence_and_every_sentence_a_key():
    paths, sentences = set(configuration.keys()), configuration.chinese_sentences()
    assert sorted(paths - set(sentences)) == [], f"write them into {configuration.CHINESE.name}"
    assert sorted(set(sentences) - paths) == [], f"remove them from {configuration.CHINESE.name}"
    assert [path for path, sentence in sentences.items() if not str(sentence).endswith("。")] == []


@pytest.mark.parametrize(
    "schema, words",
    [
        ({"type": "number", "minimum": 0, "exclusiveMaximum": 1}, "0 ≤ number < 1"),
        ({"type": "number", "exclusiveMinimum": 0, "maximum": 10**9}, "number > 0"),
        ({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}]}, "integer ≥ 1"),
        ({"anyOf": [{"enum": ["a", "b"]}, {"pattern": "^[aA]$"}]}, "`a`, `b`"),
        ({"type": "array", "items": {"enum": ["x"]}}, "list of `x`"),
        ({"type": "object", "additionalProperties": {"type": "string"}}, "name → text"),
        ({"type": "boolean"}, "`true`, `false`"),
    ],
)
def test_types_are_in_words(schema, words):
    assert type_in_words(schema, WORDS["en"]) == words
