"""A command that is stopped while it starts says so in one line, and has the status that shells give a signal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from conftest import ROOT
from ppcls_slim.cli import main, signals
from ppcls_slim.cli.commands import COMMANDS

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
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    assert cli("schema").status == 0
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_a_signal_that_paddle_turned_into_an_error_of_its_own(monkeypatch, capsys):
    """``Interrupted`` in a hook that C++ called comes out as ``ValueError: res should not be null``."""

    def run(arguments):
        signals.unwind()
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            raise ValueError("res should not be null") from None

    monkeypatch.setitem(COMMANDS, "schema", run)
    assert main(["schema"]) == 143
    assert capsys.readouterr().err == "ppcls_slim: stopped by SIGTERM\n"


def test_an_error_without_a_signal_stays_a_traceback(monkeypatch):
    def run(arguments):
        signals.unwind()
        raise ValueError("a bug")

    monkeypatch.setitem(COMMANDS, "schema", run)
    with pytest.raises(ValueError, match="a bug"):
        main(["schema"])
