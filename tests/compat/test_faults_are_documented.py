"""Every file that patches a fault says which versions have it and when the file can go."""

from __future__ import annotations

import ast
import re

import pytest

from conftest import ROOT

COMPAT = ROOT / "plugin/ppcls_slim/compat"
# Of onednn/: they apply those that are, or say what a pass does.
NO_FAULTS = {"__init__", "export_time", "float_rewrites", "int8_rewrites", "predictor", "propagation"}
FAULTS = sorted(
    path
    for path in [
        *COMPAT.glob("*/faults/*.py"),
        *COMPAT.glob("onednn/*.py"),
        COMPAT / "legacy_ops.py",
        COMPAT / "quiet_passes.py",
        COMPAT / "openvino_core.py",
        COMPAT / "startup_noise.py",
    ]
    if path.stem not in NO_FAULTS
)


def test_faults_are_found():
    assert {path.parent.parent.name for path in FAULTS} >= {"paddle", "paddleclas", "paddleslim", "compat"}


@pytest.mark.parametrize("path", FAULTS, ids=lambda path: str(path.relative_to(COMPAT)))
def test_a_fault_has_a_symptom_a_version_and_an_end(path):
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    parts = dict(re.findall(r"^(Symptom|Pass|Versions|Delete when): (.+?)$", text, re.MULTILINE))
    assert {"Symptom", "Versions", "Delete when"} <= set(parts)
    assert re.search(r"\d+\.\d", parts["Versions"]), "a version has a number"
    assert path.parent.name != "onednn" or "Pass" in parts


def test_every_fault_of_onednn_is_applied():
    applied = "".join((COMPAT / "onednn" / f"{name}.py").read_text(encoding="utf-8") for name in NO_FAULTS)
    for path in COMPAT.glob("onednn/*.py"):
        assert path.stem in NO_FAULTS or path.stem in applied, f"nothing applies {path.name}"
