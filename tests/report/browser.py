"""Look at a page in headless Chromium, through its command line."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from html import escape, unescape
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")
SCRIPT = """
<script>
document.querySelectorAll("details").forEach((one) => { one.open = true; });
const wide = [...document.querySelectorAll("body *")]
  .filter((one) => one.getBoundingClientRect().right > window.innerWidth + 0.5 && !one.closest(".stack thead"))
  .map((one) => `${one.tagName}.${one.className.baseVal ?? one.className}`);
document.documentElement.dataset.seen = JSON.stringify({
  width: window.innerWidth, scroll: document.documentElement.scrollWidth, wide: wide.slice(0, 5),
  sections: [...document.querySelectorAll("section")].map((one) => one.id),
  unnamed: [...document.querySelectorAll("svg[role=img]")].filter((one) => !one.querySelector("title")).length,
  paper: getComputedStyle(document.body).backgroundColor,
  outline: (() => { const link = document.querySelector("nav a"); link.focus({focusVisible: true});
    return getComputedStyle(link).outlineStyle; })(),
});
</script>
"""


@dataclass(frozen=True)
class Seen:
    """What a browser made of a page.

    Attributes:
        errors: lines of its console.
        width: of the frame.
        scroll: of the page; more than the frame is scrolled sideways.
        wide: elements that stand out on the right.
        sections: ids, in order.
        unnamed: pictures without a title.
        paper: colour of the background.
        outline: style of the line around a link that has the keyboard focus.
    """

    errors: list[str]
    width: int
    scroll: int
    wide: list[str]
    sections: list[str]
    unnamed: int
    paper: str
    outline: str


def chromium() -> str:
    """Path of the browser; without one the test is skipped."""
    found = next((path for path in map(shutil.which, NAMES) if path), None)
    if found is None:
        pytest.skip("no Chromium to look at the page with: apt-get install chromium")
    return found


FRAME = """<!DOCTYPE html><html><meta charset="utf-8"><body style="margin: 0">
<iframe style="width: {width}px; height: 1200px; border: 0" srcdoc="{page}" onload="
  document.documentElement.dataset.seen = this.contentDocument.documentElement.dataset.seen"></iframe>
</body></html>
"""
"""A window of Chromium is at least 500 wide; a frame in it is as narrow as a telephone, also for media queries."""


def look(page: Path, folder: Path, width: int = 400, dark: bool = False) -> Seen:
    """Open a page in a frame of this width."""
    text = page.read_text(encoding="utf-8").replace("</body>", f"{SCRIPT}</body>")
    copy = folder / f"seen-{page.name}"
    copy.write_text(FRAME.format(width=width, page=escape(text)), encoding="utf-8")
    done = subprocess.run(
        [
            chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--dump-dom",
            f"--blink-settings=preferredColorScheme={0 if dark else 1}", "--window-size=1300,1300",
            "--hide-scrollbars",
            f"--user-data-dir={folder / 'profile'}", "--virtual-time-budget=3000", copy.as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    seen = re.search(r'data-seen="([^"]*)"', done.stdout)
    assert seen is not None, done.stderr[-2000:]
    errors = [line for line in done.stderr.splitlines() if "CONSOLE" in line]
    return Seen(errors, **json.loads(unescape(seen[1])))
