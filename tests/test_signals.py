"""A command that is stopped while it starts says so in one line, and has the status that shells give a signal."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from conftest import ROOT

STOPPED_WHILE_IMPORTING = """
import importlib.abc, os, signal, sys
sys.path.insert(0, {plugin!r})

class Stop(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.{kind})

from ppcls_slim.cli import main
sys.meta_path.insert(0, Stop())
sys.exit(main(["train", "-c", {config!r}]))
"""


@pytest.mark.paddle26
@pytest.mark.parametrize(
    ("module", "kind", "status"),
    [
        ("pydantic", "SIGINT", 130),
        ("paddle.text", "SIGTERM", 143),  # Paddle has put its own handler in place by then
        ("ppcls.engine", "SIGTERM", 143),
    ],
)
def test_stopped_while_modules_are_imported(small, tmp_path, module, kind, status):
    script = STOPPED_WHILE_IMPORTING.format(plugin=str(ROOT / "plugin"), module=module, kind=kind, config=str(small))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == status, done.stderr
    assert done.stderr == f"ppcls_slim: stopped by {kind}; go on with the same command and --resume auto\n"


def test_handlers_are_put_back(cli):
    import signal

    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert cli("schema").status == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
