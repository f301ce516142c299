"""No `Any` where a type says what is passed around between the rooms."""

from __future__ import annotations

import ast

import pytest

from conftest import ROOT

PACKAGE = ROOT / "plugin/ppcls_slim"
CARRIERS = {"config", "engine", "model", "checkpoint", "record", "plan"}


def public_functions(tree: ast.Module) -> list[ast.FunctionDef]:
    """Functions, and methods of classes, whose names do not start with an underscore."""
    found, scopes = [], [tree]
    while scopes:
        for node in scopes.pop().body:
            if getattr(node, "name", "_").startswith("_"):
                continue
            if isinstance(node, ast.ClassDef):
                scopes.append(node)
            elif isinstance(node, ast.FunctionDef):
                found.append(node)
    return found


def mentions_any(annotation: ast.expr | None) -> bool:
    return annotation is None or any(isinstance(node, ast.Name) and node.id == "Any" for node in _own(annotation))


def _own(annotation: ast.expr) -> list[ast.expr]:
    """`Any` and `Optional[Any]`, but not what a container holds: `dict[str, Any]` is a type."""
    if isinstance(annotation, ast.Subscript) and getattr(annotation.value, "id", "") in ("Optional", "Union"):
        inner = annotation.slice
        return inner.elts if isinstance(inner, ast.Tuple) else [inner]
    return [annotation]


def untyped(source: str) -> list[str]:
    """``line function(parameter)`` of what has to have a type and has not."""
    return [
        f"{function.lineno} {function.name}({argument.arg})"
        for function in public_functions(ast.parse(source))
        for argument in (*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs)
        if argument.arg in CARRIERS and mentions_any(argument.annotation)
    ]


def test_what_the_rooms_pass_to_each_other_has_a_type():
    found = {path: untyped(path.read_text(encoding="utf-8")) for path in sorted(PACKAGE.rglob("*.py"))}
    wrong = [f"{path.relative_to(ROOT)}:{place}" for path, places in found.items() for place in places]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("def f(config: Any): pass", 1),
        ("def f(*, model: Optional[Any] = None): pass", 1),
        ("class A:\n    def f(self, engine): pass", 1),
        ("def f(config: dict[str, Any]): pass", 0),
        ("def _f(config: Any): pass", 0),
        ("def f(value: Any): pass", 0),
    ],
)
def test_the_check_finds_what_it_should(source, expected):
    assert len(untyped(source)) == expected
