"""The documentation names files that are there."""

from __future__ import annotations

import re

import pytest

from conftest import ROOT

PACKAGE = ROOT / "plugin/ppcls_slim"
PLACES = [ROOT, ROOT / "tools", PACKAGE]
FOLDERS = ("compat/onednn", "prune/importance/criteria", "quant/methods", "quant/observers")
PLACES += [PACKAGE / folder for folder in FOLDERS]
TO_WRITE = {"deploy/targets/onnx.py", "compat/<engine>/"}
PAGES = ("docs/how_it_works.md", "CONTRIBUTING.md", "docs/configuration.md")
PAGES += ("CONTRIBUTING.zh.md", "docs/configuration.zh.md")


def paths(page: str) -> set[str]:
    """What is written like a path, or ends like a Python file, between backticks."""
    text = (ROOT / page).read_text(encoding="utf-8")
    found = re.findall(r"`([\w./<>-]+(?:\.py|/))`", text)
    return {path for path in found if "<" not in path and not path.startswith(("output", "results/", "my_package"))}


@pytest.mark.parametrize("page", PAGES)
def test_every_path_is_there(page):
    missing = [path for path in paths(page) - TO_WRITE if not any((place / path).exists() for place in PLACES)]
    assert not missing


def test_every_fault_of_onednn_is_in_the_tables():
    page = (ROOT / "docs/how_it_works.md").read_text(encoding="utf-8")
    faults = [
        path.name
        for path in sorted((PACKAGE / "compat/onednn").glob("*.py"))
        if "\nDelete when:" in path.read_text(encoding="utf-8")
    ]
    assert faults
    assert [name for name in faults if f"`{name}`" not in page] == []


def test_every_room_has_a_row():
    rooms = {path.name for path in PACKAGE.iterdir() if path.is_dir() and path.name != "__pycache__"}
    for page in ("docs/how_it_works.md", "CONTRIBUTING.md", "CONTRIBUTING.zh.md"):
        text = (ROOT / page).read_text(encoding="utf-8")
        assert [room for room in sorted(rooms) if f"`{room}/`" not in text] == []
