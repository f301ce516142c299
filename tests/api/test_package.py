"""The package: what importing it costs, and what editors and type checkers see."""

from __future__ import annotations

import ast
import copy
import importlib
import inspect
import pickle
import subprocess
import sys

import pytest

import ppcls_slim
from conftest import ROOT
from ppcls_slim.api.keys import PruneKeys, QuantKeys
from ppcls_slim.api.section import NOT_HERE
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.config.quant import QuantConfig


def test_importing_the_package_does_not_import_paddle():
    program = "import ppcls_slim, sys; dir(ppcls_slim); assert not {'paddle', 'numpy', 'pydantic'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)


def test_every_name_is_listed_and_found():
    assert set(ppcls_slim.__all__) <= set(dir(ppcls_slim))
    assert all(getattr(ppcls_slim, name) is not None for name in ppcls_slim.__all__)
    with pytest.raises(AttributeError, match="has no attribute 'prun'"):
        ppcls_slim.prun  # noqa: B018


def test_type_checkers_see_every_name():
    tree = ast.parse((ROOT / "plugin/ppcls_slim/__init__.py").read_text())
    seen = {
        (alias.name, node.module)
        for branch in tree.body
        if isinstance(branch, ast.If)
        for node in ast.walk(branch)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert dict(seen) == ppcls_slim._PLACES


def test_a_room_with_the_name_of_a_function_is_both():
    room = importlib.import_module("ppcls_slim.prune")
    plan = importlib.import_module("ppcls_slim.prune.plan")
    assert ppcls_slim.prune is room and room.plan is plan
    assert list(inspect.signature(ppcls_slim.prune).parameters) == ["model", "plan", "data"]
    assert list(inspect.signature(ppcls_slim.verify).parameters) == ["model", "against", "data"]


def test_functions_that_are_rooms_are_pickled_and_copied_and_have_their_docstring():
    for function in (ppcls_slim.prune, ppcls_slim.verify, ppcls_slim.quantize):
        assert pickle.loads(pickle.dumps(function)) is function
        assert copy.deepcopy(function) is function
        assert "Example:" in (inspect.getdoc(function) or "")


@pytest.mark.parametrize(
    ("keys", "config", "part"), [(PruneKeys, PruneConfig, "prune"), (QuantKeys, QuantConfig, "quant")]
)
def test_keyword_arguments_are_the_keys_of_the_section(keys, config, part):
    given_otherwise = {"input_shape"}  # example
    assert set(keys.__annotations__) == set(config.model_fields) - set(NOT_HERE[part]) - given_otherwise
