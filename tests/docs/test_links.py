"""Links between the files of the repository lead somewhere on GitHub, too, and stay in the language of the page."""

from __future__ import annotations

import re
import sys

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs/tooling"))
from pages import headings

DOCS = ROOT / "docs"

PAGES = [ROOT / name for name in ("README.md", "README_zh.md", "CONTRIBUTING.md", "CONTRIBUTING.zh.md")]
PAGES += sorted(DOCS.rglob("*.md"))
LINK = re.compile(r"\[[^\]\n]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def links(page):
    """Link as it is written, the file that it leads to, and its anchor."""
    for link in LINK.findall(CODE.sub("", page.read_text(encoding="utf-8"))):
        if not re.match(r"[a-z]+:", link):
            path, _, anchor = link.partition("#")
            yield link, (page.parent / path).resolve() if path else page, anchor


def anchors(page):
    """What GitHub makes of the headings, and what ``<a id>`` names."""
    text = page.read_text(encoding="utf-8")
    named = set(re.findall(r'<a id="([^"]+)">', text))
    titles = (heading.text.lower() for heading in headings(text))
    return named | {re.sub(r"[^\w\- ]", "", title).replace(" ", "-") for title in titles}


def name(page):
    return page.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_leads_to_a_file(page):
    assert [link for link, target, _ in links(page) if not target.exists()] == []


@pytest.mark.parametrize("page", [page for page in PAGES if not re.search(r"[._]zh\.md$", page.name)], ids=name)
def test_every_anchor_is_there(page):
    wanted = [(link, target, anchor) for link, target, anchor in links(page) if anchor and target.suffix == ".md"]
    assert [link for link, target, anchor in wanted if target.exists() and anchor not in anchors(target)] == []


@pytest.mark.parametrize("page", [page for page in PAGES if re.search(r"[._]zh\.md$", page.name)], ids=name)
def test_a_chinese_page_links_to_chinese_pages(page):
    english = [(link, target) for link, target, _ in links(page) if not target.name.endswith(".zh.md")]
    assert [link for link, target in english if target.with_suffix(".zh.md").exists()] == []
