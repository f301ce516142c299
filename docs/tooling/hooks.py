"""Hooks of mkdocs: what is a link between files on GitHub becomes something that is there on the site."""

from __future__ import annotations

import posixpath
import re
import sys
from pathlib import Path
from typing import Any

from pymdownx.slugs import slugify

sys.path.insert(0, str(Path(__file__).parent))
from pages import headings

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL_PAGES = {"contributing.md": "CONTRIBUTING.md", "contributing.zh.md": "CONTRIBUTING.zh.md"}
"""Page of the site -> file at the top level that it shows. On GitHub the page is a link to the file."""
LINK = re.compile(r"\[(?P<text>[^\]\n]+)\]\((?P<path>\.\./[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
as_anchor = slugify(case="lower")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by mkdocs with the text of every page; returns the text that is rendered."""
    uri = page.file.src_uri
    markdown = text_of(uri, markdown)
    if uri.endswith(".zh.md"):
        english = uri.replace(".zh.md", ".md")
        markdown = with_english_anchors(markdown, text_of(english, (ROOT / "docs" / english).read_text("utf-8")))
    return LINK.sub(lambda link: outward_link(link, posixpath.dirname(uri)), markdown)


def text_of(uri: str, text: str) -> str:
    """The text of a page, or of the file that it stands for."""
    return (ROOT / TOP_LEVEL_PAGES[uri]).read_text("utf-8") if uri in TOP_LEVEL_PAGES else text


def outward_link(link: re.Match[str], folder: str) -> str:
    """A link that leaves ``docs/`` becomes the path in the repository, as plain text.

    Args:
        link: as :data:`LINK` matches it.
        folder: of the page, in ``docs/``.
    """
    target = posixpath.normpath(posixpath.join("docs", folder, link["path"]))
    for page, file in TOP_LEVEL_PAGES.items():
        if target == file:
            return f"[{link['text']}]({posixpath.relpath(page, folder or '.')}{link['anchor'] or ''})"
    if target.startswith("docs/") or not (ROOT / target).exists():
        return link[0]  # mkdocs says what is wrong with it, if something is
    return f"`{target}`" if link["text"].strip("`") == target else f"{link['text']} (`{target}`)"


def with_english_anchors(chinese: str, english: str) -> str:
    """Give each heading of a Chinese page the anchor of the English page's, so that links work in both languages.

    The first one stays as it is: mkdocs takes the title of the page from it, if nothing is before it.
    """
    lines = chinese.splitlines(keepends=True)
    for ours, theirs in zip(headings(chinese)[1:], headings(english)[1:]):
        anchor = as_anchor(theirs.text.replace("`", ""), "-")
        if anchor != as_anchor(ours.text.replace("`", ""), "-") and f'<a id="{anchor}">' not in chinese:
            lines[ours.line] = f'<a id="{anchor}"></a>\n\n{lines[ours.line]}'
    return "".join(lines)
