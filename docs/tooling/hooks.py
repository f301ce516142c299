"""Hooks of mkdocs: what is a link between files on GitHub becomes something that is there on the site."""

from __future__ import annotations

import base64
import posixpath
import re
import sys
from html import unescape
from pathlib import Path
from typing import Any

import latex2mathml.converter
from pymdownx.slugs import slugify

sys.path.insert(0, str(Path(__file__).parent))
from pages import headings

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL_PAGES = {"contributing.md": "CONTRIBUTING.md", "contributing.zh.md": "CONTRIBUTING.zh.md"}
"""Page of the site -> file at the top level that it shows. On GitHub the page is a link to the file."""
LINK = re.compile(r"(?P<image>!?)\[(?P<text>[^\]\n]+)\]\((?P<path>\.\./[^)\s#]+)(?P<anchor>#[^)\s]*)?\)")
EQUATION = re.compile(r'<(span|div) class="arithmatex">\\([(\[])(.*?)\\[)\]]</\1>', re.DOTALL)
as_anchor = slugify(case="lower")


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Called by mkdocs with the text of every page; returns the text that is rendered."""
    uri = page.file.src_uri
    markdown = without_language_link(text_of(uri, markdown), posixpath.basename(uri))
    if uri.endswith(".zh.md"):
        english = uri.replace(".zh.md", ".md")
        markdown = with_english_anchors(markdown, text_of(english, (ROOT / "docs" / english).read_text("utf-8")))
    return LINK.sub(lambda link: outward_link(link, posixpath.dirname(uri)), markdown)


def on_page_content(html: str, **_: Any) -> str:
    """Called by mkdocs with the HTML of every page; equations become MathML, which browsers show as it is."""
    return EQUATION.sub(
        lambda equation: latex2mathml.converter.convert(
            unescape(equation[3]).strip(), display="block" if equation[1] == "div" else "inline"
        ),
        html,
    )


def text_of(uri: str, text: str) -> str:
    """The text of a page, or of the file that it stands for."""
    return (ROOT / TOP_LEVEL_PAGES[uri]).read_text("utf-8") if uri in TOP_LEVEL_PAGES else text


def without_language_link(text: str, name: str) -> str:
    """Leave out the link from a page to itself in the other language, for which the site has a menu."""
    other = name.replace(".zh.md", ".md") if name.endswith(".zh.md") else name.replace(".md", ".zh.md")
    return re.sub(rf"(?:[^\s.。]+[:：] *)?\[[^\]\n]*\]\({re.escape(other)}\)[.。]?", "", text)


def outward_link(link: re.Match[str], folder: str) -> str:
    """A link that leaves ``docs/`` becomes the path in the repository, as plain text; a picture is put into the page.

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
    if link["image"]:
        data = base64.b64encode((ROOT / target).read_bytes()).decode("ascii")
        return f'<img alt="{link["text"]}" src="data:image/{target.rpartition(".")[2]};base64,{data}">'
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
