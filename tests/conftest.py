"""Shared by all tests: where things lie, and how to run a tool as a user does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "plugin"))

# Loads Paddle the way the plugin does, before anything else can import it in an unlucky order.
from ppcls_slim.upstream import paddle_lines  # noqa: E402,F401


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def ppcls_root() -> Path:
    from ppcls_slim.upstream.find_ppcls import find_ppcls

    return find_ppcls()


@pytest.fixture
def tool(tmp_path):
    """Run ``tools/<name>.py`` in a folder of its own; returns the finished process."""

    def run(name: str, *arguments: object, cwd: Path = tmp_path, timeout: int = 300, **environment: str):
        return subprocess.run(
            [sys.executable, str(ROOT / "tools" / f"{name}.py"), *map(str, arguments)],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run
