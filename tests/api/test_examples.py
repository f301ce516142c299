"""Every public name has an example that runs, and stands in the pages of both languages."""

from __future__ import annotations

import ast
import contextlib
import doctest
import io
import re
import sys
import types

import pytest
from own_networks import SHAPE, batches, small
from public_names import NAMES, example_of, source_of

import ppcls_slim
from conftest import ROOT
from ppcls_slim.compat.paddle import paddle

PAGES = ("docs/api.md", "docs/api.zh.md")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_docstring_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paddle.seed(0)
    said = io.StringIO()
    with contextlib.redirect_stdout(io.StringIO()):
        result = doctest.DocTestRunner(optionflags=FLAGS).run(example_of(name), out=said.write)
    assert result.attempted and not result.failed, said.getvalue()


def blocks(page: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)


def code(source: str) -> str:
    """Statements without layout and comments."""
    return ast.unparse(ast.parse(source))


@pytest.mark.parametrize("page", PAGES)
def test_every_public_name_stands_in_the_page_with_its_example(page):
    headings = re.findall(r"^##+ `(\w+)`", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(headings) == sorted([*NAMES, "SlimError"])
    shown = [code(block) for block in blocks(page)]
    assert [name for name in NAMES if code(source_of(name)) not in shown] == []


def test_both_pages_show_the_same_code():
    english, chinese = (blocks(page) for page in PAGES)
    assert [code(block) for block in english] == [code(block) for block in chinese]


def test_a_network_in_a_loop_of_ones_own_is_in_int8_in_fifteen_lines(tmp_path, monkeypatch, capsys):
    script = blocks("docs/api.md")[0]
    assert len([line for line in script.splitlines() if line.strip()]) <= 15
    project = types.ModuleType("my_project")
    project.model, project.loader, project.test_loader = small(), batches(4), batches()
    monkeypatch.setitem(sys.modules, "my_project", project)
    monkeypatch.chdir(tmp_path)
    shape = str(SHAPE)
    exec(script.replace("[3, 224, 224]", shape).replace("epochs=10", "epochs=1"), {})
    assert re.search(r"openvino \| exported \| int8", capsys.readouterr().out)
    assert ppcls_slim.verify(project.model, "resnet18_int8/openvino", batches()).same_top1 >= 0.8
