"""What the pages of the documentation are made of: headings and blocks of code, of Markdown as GitHub reads it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

FENCE = re.compile(r"^ {0,3}(`{3,}|~{3,})(.*)$")
HEADING = re.compile(r"^(#{1,6}) +(.+?) *$")


@dataclass(frozen=True)
class Heading:
    """A heading: its level (1 to 6), its text, and the number of its line, from 0."""

    level: int
    text: str
    line: int


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block: what stands behind the fence (a language, mostly), and its text."""

    language: str
    text: str


def _lines(text: str) -> Iterator[tuple[int, str, str]]:
    """Number and text of every line, and what it is: ``text``, ``fence`` or ``code``."""
    open_fence = ""
    for number, line in enumerate(text.splitlines()):
        fence = FENCE.match(line)
        if fence and not open_fence:
            open_fence = fence[1]
            yield number, fence[2].strip(), "fence"
        elif fence and open_fence and fence[1].startswith(open_fence) and not fence[2].strip():
            open_fence = ""
        else:
            yield number, line, "code" if open_fence else "text"


def headings(text: str) -> list[Heading]:
    """Return the headings of a page, in order."""
    found = ((number, HEADING.match(line)) for number, line, kind in _lines(text) if kind == "text")
    return [Heading(len(match[1]), match[2], number) for number, match in found if match]


def code_blocks(text: str) -> list[CodeBlock]:
    """Return the fenced blocks of a page, in order."""
    blocks: list[tuple[str, list[str]]] = []
    for _, line, kind in _lines(text):
        if kind == "fence":
            blocks.append((line, []))
        elif kind == "code":
            blocks[-1][1].append(line)
    return [CodeBlock(language, "".join(f"{line}\n" for line in lines)) for language, lines in blocks]
