"""What knows another package's version, changes it or uses its private names is in ``compat/``, nowhere else."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from conftest import ROOT

PACKAGE = ROOT / "plugin/ppcls_slim"
PUBLIC_IN_SPITE_OF_IT = {"_replace", "_asdict", "_fields", "_make", "_exit"}  # of named tuples; os._exit
REFLECTION = ("getattr", "setattr", "hasattr", "delattr")
IMPORT_ERRORS = {"ImportError", "ModuleNotFoundError", "Exception", "BaseException"}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def dotted(node: ast.AST) -> str:
    """``a.b.c`` of names and attributes; what a call or an index gives is ``?``."""
    if isinstance(node, ast.Name):
        return node.id
    return f"{dotted(node.value)}.{node.attr}" if isinstance(node, ast.Attribute) else "?"


def members(tree: ast.AST) -> Iterator[str]:
    """Private members of the classes of a module."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            for part in node.body:
                if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef)):
                    yield part.name
                targets = part.targets if isinstance(part, ast.Assign) else [getattr(part, "target", None)]
                yield from (target.id for target in targets if isinstance(target, ast.Name))
        stored = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if stored and isinstance(node.value, ast.Name) and node.value.id in ("self", "cls"):
            yield node.attr


@dataclass
class Checker(ast.NodeVisitor):
    """Collects what a module outside ``compat/`` must not do.

    Attributes:
        own: private members of the package's own classes.
        found: (line, what).
    """

    own: set[str]
    found: list[tuple[int, str]] = field(default_factory=list)
    foreign: set[str] = field(default_factory=set)
    own_modules: set[str] = field(default_factory=set)

    def note(self, node: ast.AST, what: str) -> None:
        self.found.append((node.lineno, what))

    def visit_Import(self, node: ast.Import) -> None:
        for one in node.names:
            name = one.asname or one.name.partition(".")[0]
            (self.own_modules if one.name.startswith("ppcls_slim") else self.foreign).add(name)
            self._check_path(node, one.name)

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        own = node.level > 0 or module.startswith("ppcls_slim")
        for one in node.names:
            name = one.asname or one.name
            if own and "compat" not in module.split("."):
                self.own_modules.add(name)
            else:
                self.foreign.add(name)  # compat hands out objects of other packages
            if not own:
                self._check_path(node, f"{module}.{one.name}")
            if one.name in ("version", "installed_paddle") and (own or module == "importlib.metadata"):
                self.note(node, f"version check: {one.name}")

    def _check_path(self, node: ast.AST, path: str) -> None:
        if any(is_private(part) for part in path.split(".")):
            self.note(node, f"private name: {path}")
        if path.startswith("packaging"):
            self.note(node, "version check: packaging")

    def visit_Attribute(self, node: ast.Attribute) -> None:
        base = dotted(node.value)
        known = node.attr in self.own | PUBLIC_IN_SPITE_OF_IT or base in self.own_modules
        if is_private(node.attr) and not known:
            self.note(node, f"private name: {base}.{node.attr}")
        if isinstance(node.ctx, (ast.Store, ast.Del)) and base.partition(".")[0] in self.foreign:
            self.note(node, f"change of another package: {base}.{node.attr}")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        name = dotted(node.func)
        if name in REFLECTION and len(node.args) > 1 and isinstance(node.args[1], ast.Constant):
            attribute = str(node.args[1].value)
            if is_private(attribute) and attribute not in self.own:
                self.note(node, f"private name: {attribute}")
        if name in ("setattr", "delattr") and node.args and dotted(node.args[0]).partition(".")[0] in self.foreign:
            self.note(node, f"change of another package: {dotted(node.args[0])}")
        if name.rpartition(".")[2] == "replaced":
            self.note(node, "change of another package: replaced")
        if name in ("importlib.metadata.version", "metadata.version", "installed_paddle"):
            self.note(node, f"version check: {name}")
        if isinstance(node.func, ast.Attribute) and dotted(node.func.value).endswith(".__version__"):
            self.note(node, f"version check: {name}")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for part in ast.walk(node):
            if isinstance(part, ast.Attribute) and part.attr == "__version__":
                self.note(node, f"version check: {dotted(part)}")
        self.generic_visit(node)

    def visit_Try(self, node: ast.Try) -> None:
        caught = {
            dotted(kind)
            for handler in node.handlers
            for kind in (handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type])
            if kind is not None
        }
        if caught & IMPORT_ERRORS or any(handler.type is None for handler in node.handlers):
            for part in node.body:
                if isinstance(part, ast.Import) and any(is_foreign(one.name) for one in part.names):
                    self.note(part, f"optional import: {part.names[0].name}")
                if isinstance(part, ast.ImportFrom) and part.level == 0 and is_foreign(part.module or ""):
                    self.note(part, f"optional import: {part.module}")
        self.generic_visit(node)


def is_foreign(module: str) -> bool:
    root = module.partition(".")[0]
    return root != "ppcls_slim" and root not in getattr(sys, "stdlib_module_names", ())


def check(source: str, own: set[str]) -> list[tuple[int, str]]:
    checker = Checker(own)
    checker.visit(ast.parse(source))
    return sorted(set(checker.found))


def outside_compat() -> list[Path]:
    return [path for path in sorted(PACKAGE.rglob("*.py")) if "compat" not in path.relative_to(PACKAGE).parts]


def test_compat_alone_knows_other_packages_inside():
    files = {path: path.read_text(encoding="utf-8") for path in outside_compat()}
    own = {name for text in files.values() for name in members(ast.parse(text)) if is_private(name)}
    found = [
        f"{path.relative_to(PACKAGE)}:{line}: {what}"
        for path, text in files.items()
        for line, what in check(text, own)
    ]
    assert not found, "move this to compat/:\n" + "\n".join(found)


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("layer._groups", "private name: layer._groups"),
        ("layer._groups = 3", "private name: layer._groups"),
        ("getattr(layer, '_groups', 1)", "private name: _groups"),
        ("hasattr(layer, '_groups')", "private name: _groups"),
        ("class A(B):\n    def f(self):\n        return self._stride", "private name: self._stride"),
        ("from paddle.core import _convert", "private name: paddle.core._convert"),
        ("import paddle._pir", "private name: paddle._pir"),
        ("import paddle\nif paddle.__version__ < '3': pass", "version check: paddle.__version__"),
        ("import paddle\npaddle.__version__.startswith('2.')", "version check: paddle.__version__.startswith"),
        (
            "import importlib.metadata\nimportlib.metadata.version('paddle')",
            "version check: importlib.metadata.version",
        ),
        ("from importlib.metadata import version", "version check: version"),
        ("from .compat.paddle import installed_paddle", "version check: installed_paddle"),
        ("from packaging.version import Version", "version check: packaging"),
        ("import numpy as np\nnp.int = int", "change of another package: np.int"),
        (
            "from ..compat.paddle import paddle\npaddle.nn.Layer.__call__ = f",
            "change of another package: paddle.nn.Layer.__call__",
        ),
        ("import traceback\nsetattr(traceback, 'extract_stack', f)", "change of another package: traceback"),
        ("with replaced(module, name=f): pass", "change of another package: replaced"),
        ("try:\n    import onnx\nexcept ImportError:\n    onnx = None", "optional import: onnx"),
        ("try:\n    from onnx import load\nexcept (OSError, ImportError):\n    pass", "optional import: onnx"),
    ],
)
def test_what_belongs_into_compat_is_found(source, what):
    assert what in [found for _, found in check(source, own=set())]


@pytest.mark.parametrize(
    "source",
    [
        "class A:\n    def _b(self):\n        self._c = 1\n\ndef f(one, other):\n    return one._b() + other._c",
        "from . import criteria\ncriteria._entry_points()",
        "import paddle\nprint(f'Paddle {paddle.__version__}')",
        "import importlib.metadata\nimportlib.metadata.entry_points(group='a')",
        "try:\n    import json\nexcept ImportError:\n    pass",
        "layer.weight = 1\nlayer.__dict__",
        "import random\nrandom.seed(3)",
        "pair._replace(first=1)",
    ],
)
def test_what_is_our_own_or_public_is_not(source):
    assert check(source, own={name for name in members(ast.parse(source)) if is_private(name)}) == []
