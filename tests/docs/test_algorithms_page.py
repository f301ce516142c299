"""The page of algorithms names everything that can be chosen, and files and functions that are there."""

from __future__ import annotations

import re

import pytest

from conftest import ROOT

PACKAGE = ROOT / "plugin/ppcls_slim"
CHOICES = ("prune/importance/criteria", "quant/observers", "quant/methods")
PAGES = ("algorithms.md", "algorithms.zh.md")


def text_of(page: str) -> str:
    return (ROOT / "docs" / page).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_every_criterion_observer_and_method_is_explained(page):
    names = {file.stem for folder in CHOICES for file in (PACKAGE / folder).glob("[a-z]*.py")}
    assert len(names) > 12
    assert [name for name in sorted(names) if not re.search(rf"\b{name}\b`", text_of(page))] == []


@pytest.mark.parametrize("page", [*PAGES, "how_it_works.md", "how_it_works.zh.md"])
def test_files_that_are_named_are_there(page):
    named = set(re.findall(r"`((?:[a-z0-9_]+/)+(?:[a-z0-9_]+\.py)?)`", text_of(page)))
    assert named
    assert [path for path in sorted(named) if not any((root / path).exists() for root in (PACKAGE, ROOT))] == []


@pytest.mark.parametrize("page", PAGES)
def test_functions_of_the_reference_are_there(page):
    cell = re.compile(r"\| `(\w+\.py)`(?:: |：)((?:`\w+`(?:, |、)?)+) \|")
    named = [(file, name) for file, names in cell.findall(text_of(page)) for name in re.findall(r"`(\w+)`", names)]
    assert named
    sources = {file: (PACKAGE / "reference" / file).read_text(encoding="utf-8") for file, _ in named}
    assert [
        (file, name) for file, name in named if not re.search(rf"^(def|class) {name}\b", sources[file], re.M)
    ] == []
