"""The documentation site builds without a warning: every link, anchor and page of the navigation is there."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

DOCS = ROOT / "docs"


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The site, and what the build printed."""
    if importlib.util.find_spec("mkdocs") is None:
        pytest.skip("mkdocs is not installed: pip install 'ppcls_slim[docs]'")
    place = tmp_path_factory.mktemp("site")
    shutil.copytree(DOCS, place / "docs")
    for file in ("mkdocs.yml", "CONTRIBUTING.md", "CONTRIBUTING.zh.md", "benchmarks", "plugin", "README.md"):
        (place / file).symlink_to(ROOT / file)
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "-d",
        str(place / "html"),
    ]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore", "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True, timeout=300)
    return place / "html", done


def test_the_strict_build_succeeds(site):
    _, done = site
    warnings = [line for line in done.stderr.splitlines() if line.startswith(("WARNING", "ERROR"))]
    assert warnings == []
    assert done.returncode == 0, done.stderr[-2000:]


def test_both_languages_are_there(site):
    folder, _ = site
    assert 'lang="en"' in (folder / "configuration/index.html").read_text(encoding="utf-8")
    assert 'lang="zh"' in (folder / "zh/configuration/index.html").read_text(encoding="utf-8")


def test_the_navigation_is_in_the_language_of_the_page(site):
    folder, _ = site
    page = (folder / "zh/faq/index.html").read_text(encoding="utf-8")
    assert all(title in page for title in ("入门", "快速开始", "Slim 配置段", "参与贡献"))


def test_nothing_is_loaded_from_another_server(site):
    folder, _ = site
    loads = re.compile(r"<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=\"?(https?:)?//[^>]*>")
    for page in folder.rglob("*.html"):
        found = [
            match[0] for match in loads.finditer(page.read_text(encoding="utf-8")) if "canonical" not in match[0]
        ]
        assert found == [], page


def test_the_guide_for_contributors_is_a_page(site):
    folder, _ = site
    assert "What has to pass" in (folder / "contributing/index.html").read_text(encoding="utf-8")


def test_a_link_that_leaves_the_documentation_is_a_path_in_the_text(site):
    folder, _ = site
    page = (folder / "pruned_cifar10/index.html").read_text(encoding="utf-8")
    assert "<code>benchmarks/cifar10_pruned/README.md</code>" in page
