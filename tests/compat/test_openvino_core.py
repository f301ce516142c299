"""Signals arrive after OpenVINO was used: its signal stacks outlive it."""

from __future__ import annotations

import ast
import subprocess
import sys
import textwrap

import pytest

from conftest import ROOT

pytest.importorskip("openvino", reason="the extra [openvino] is not installed")

PROGRAM = textwrap.dedent("""
    import os, signal, sys
    sys.path.insert(0, sys.argv[1])
    signal.signal(signal.SIGUSR1, lambda *_: print("handled"))
    {two_users}
    os.kill(os.getpid(), signal.SIGUSR1)
    print("alive")
""")
TWO_USERS = """
from ppcls_slim.compat.openvino_core import core
first, second = core(), core()
for user in (first, second):
    user.get_property("CPU", "FULL_DEVICE_NAME")
del first, second
"""


def test_a_signal_is_handled_after_two_users_of_openvino_have_gone():
    program = PROGRAM.format(two_users=TWO_USERS)
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-c", program, str(ROOT / "plugin")], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout.split()) == (0, ["handled", "alive"]), done.stderr


def test_nobody_makes_another_core():
    made = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("plugin", "benchmarks", "tests")
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "openvino_core.py"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("openvino.Core")
    ]
    assert not made
