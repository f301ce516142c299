"""Every page is there in English and in Chinese, with the same headings and the same code."""

from __future__ import annotations

import re
import sys

import pytest

from conftest import ROOT

DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS / "tooling"))
from pages import code_blocks, headings  # noqa: E402

TOP_LEVEL = {"README.md": "README_zh.md", "CONTRIBUTING.md": "CONTRIBUTING.zh.md"}
PAIRS = {
    **{
        path.relative_to(ROOT).as_posix(): f"{path.relative_to(ROOT).as_posix()[:-3]}.zh.md"
        for path in DOCS.rglob("*.md")
        if not path.name.endswith(".zh.md")
    },
    **TOP_LEVEL,
}
WRITTEN = {
    english: chinese for english, chinese in PAIRS.items() if (ROOT / english).exists() and (ROOT / chinese).exists()
}
COMMENT = re.compile(r"\s*(?:#|//|<!--).*")
CHINESE = re.compile(r"[一-鿿]")


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def code(path):
    """Blocks of code without comments, which are in the language of the page."""
    return [
        (block.language, [COMMENT.sub("", line).rstrip() for line in block.text.splitlines()])
        for block in code_blocks(read(path))
    ]


def test_every_page_is_there_in_both_languages():
    missing = {path for pair in PAIRS.items() for path in pair if not (ROOT / path).exists()}
    assert sorted(missing) == []


def test_every_chinese_page_has_an_english_one():
    chinese = {path.relative_to(ROOT).as_posix() for path in DOCS.rglob("*.zh.md")}
    assert sorted(chinese - set(PAIRS.values())) == []


@pytest.mark.parametrize("english", sorted(WRITTEN))
def test_both_languages_have_the_same_headings(english):
    levels = [[heading.level for heading in headings(read(path))] for path in (english, WRITTEN[english])]
    assert levels[0] == levels[1]


@pytest.mark.parametrize("english", sorted(WRITTEN))
def test_both_languages_have_the_same_code(english):
    assert code(english) == code(WRITTEN[english])


@pytest.mark.parametrize("english", sorted(WRITTEN))
def test_the_chinese_page_is_in_chinese(english):
    title = headings(read(WRITTEN[english]))[0].text
    prose = [
        line for line in read(WRITTEN[english]).splitlines() if len(line) > 40 and not line.startswith(("|", "`"))
    ]
    assert CHINESE.search(title) or title == headings(read(english))[0].text
    assert len(CHINESE.findall(read(WRITTEN[english]))) > 3 * len(prose)
