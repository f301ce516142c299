"""A choice by name is one module of a folder, or an entry point; listing the names imports nothing."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.common.registry import Registry


@dataclass
class Point:
    """An entry point of another package."""

    name: str
    value: str
    found: object

    def load(self) -> object:
        return self.found


@pytest.fixture
def registry(tmp_path, monkeypatch):
    folder = tmp_path / "some_package" / "flavours"
    folder.mkdir(parents=True)
    (tmp_path / "some_package" / "__init__.py").write_text("")
    (folder / "__init__.py").write_text("")
    (folder / "plain.py").write_text("FLAVOUR = 'plain'\n")
    (folder / "mint.py").write_text("FLAVOUR = 'mint'\n")
    (folder / "broken.py").write_text("raise RuntimeError('imported')\n")
    (folder / "wrong.py").write_text("FLAVOUR = 3\n")
    (folder / "_shared.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield Registry("some_package.flavours", "some_package.flavours", "flavour", "FLAVOUR")
    for name in [name for name in sys.modules if name.startswith("some_package")]:
        del sys.modules[name]


def test_names_are_those_of_the_modules_and_nothing_is_imported(registry):
    assert registry.names() == ["broken", "mint", "plain", "wrong"]
    assert "mint" in registry and "_shared" not in registry
    assert not [name for name in sys.modules if name.startswith("some_package")]


def test_a_choice_is_what_its_module_offers(registry):
    assert registry.get("mint", str) == "mint"


def test_an_unknown_name_is_refused_with_the_nearest_spelling(registry):
    message = r"'mintt' is not a flavour \(did you mean 'mint'\?\); there are broken, mint, plain, wrong"
    with pytest.raises(SlimError, match=message):
        registry.get("mintt", str)


def test_what_is_not_of_the_class_is_refused(registry):
    with pytest.raises(SlimError, match=r"some_package\.flavours\.wrong:FLAVOUR is not a ppcls_slim str"):
        registry.get("wrong", str)


def test_entry_points_come_after_the_modules_and_cannot_replace_them(registry, monkeypatch):
    points = {name: Point(name, f"other:{name}", f"other {name}") for name in ("mint", "lemon")}
    points["odd"] = Point("odd", "other:odd", 5)
    monkeypatch.setattr(registry, "entry_points", lambda: points)
    assert registry.names() == ["broken", "mint", "plain", "wrong", "lemon", "odd"]
    assert registry.get("lemon", str) == "other lemon"
    assert registry.get("mint", str) == "mint"
    with pytest.raises(
        SlimError, match=r"entry point some_package.flavours:odd \(other:odd\) is not a ppcls_slim str"
    ):
        registry.get("odd", str)


def test_installed_entry_points_are_read():
    pytest_plugins = Registry("nothing_here", "console_scripts", "command", "main")
    assert "pytest" in pytest_plugins.names()


def test_the_names_of_quantizers_do_not_need_paddle():
    program = (
        "import sys; from ppcls_slim.common.registry import Registry; "
        "print(Registry('ppcls_slim.quant.methods', 'ppcls_slim.quantizers', 'quantizer', 'QUANTIZER').names()); "
        "assert 'paddle' not in sys.modules and 'ppcls_slim.quant' not in sys.modules"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    assert "'pact', 'qat'" in output
