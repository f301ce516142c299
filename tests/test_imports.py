"""Imports: where they may stand. Their direction between the rooms is held by `lint-imports` (pyproject.toml)."""

from __future__ import annotations

import ast
from pathlib import Path

from conftest import ROOT

PACKAGE = ROOT / "plugin/ppcls_slim"
BENCHMARKS = [path for path in (ROOT / "benchmarks").rglob("*.py") if "cifar10" not in path.parent.name]


DISPATCHERS = {PACKAGE / "cli/commands.py", ROOT / "benchmarks/commands.py"}
"""They import what a command runs when it is known, so that ``--help`` answers at once; their docstrings say so."""


def imports_in_functions(path: Path) -> list[ast.Import | ast.ImportFrom]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    functions = [node for node in ast.walk(tree) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    inside = [node for one in functions for node in ast.walk(one) if isinstance(node, (ast.Import, ast.ImportFrom))]
    return list(dict.fromkeys(inside))


def has_reason(node: ast.stmt, lines: list[str]) -> bool:
    """A comment on the line, in the block of lines before it, or above an import that it follows."""
    number = node.lineno - 1
    if "#" in "".join(lines[number : node.end_lineno]):
        return True
    before = number - 1
    while before >= 0 and lines[before].strip().startswith(("import ", "from ")):
        if "#" in lines[before]:
            return True
        before -= 1
    return before >= 0 and lines[before].strip().startswith("#")


def test_an_import_inside_a_function_says_why():
    wrong = []
    for path in sorted({*PACKAGE.rglob("*.py"), *BENCHMARKS} - DISPATCHERS):
        lines = path.read_text(encoding="utf-8").splitlines()
        wrong += [
            f"{path.relative_to(ROOT)}:{node.lineno} {lines[node.lineno - 1].strip()}"
            for node in imports_in_functions(path)
            if not has_reason(node, lines)
        ]
    assert not wrong, "\n".join(wrong)


def test_the_check_finds_an_import_without_a_reason(tmp_path):
    path = tmp_path / "module.py"
    path.write_text("def f():\n    import json\n\ndef g():\n    # start-up time\n    import json\n    import re\n")
    lines = path.read_text().splitlines()
    assert [has_reason(node, lines) for node in imports_in_functions(path)] == [False, True, True]
