"""What is released: a wheel, built from the sdist, installed where nothing else is, used outside of a checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

import ppcls_slim
from conftest import ROOT

UV = shutil.which("uv")
WITHOUT_THEIR_PINS = ("paddleclas==2.4.2", "paddleslim==2.6.0")


def run(*command: object, cwd: Path, **environment: str) -> str:
    outside = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env={**outside, **environment}, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{' '.join(map(str, command))}\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """Folder of the sdist, and of the wheel that was built from it."""
    pytest.importorskip("build", reason="build is not installed: pip install build")
    folder = tmp_path_factory.mktemp("dist")
    installer = ("--installer", "uv") if UV else ()
    source = folder / "source"  # not the checkout itself, which keeps what earlier builds left
    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in filter(None, files.split("\0")):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, source / name)
    run(sys.executable, "-m", "build", *installer, "--outdir", folder, source, cwd=folder)
    return folder


def install(wheel: Path, folder: Path) -> Path:
    """Make an environment with the wheel, Paddle for CPUs, OpenVINO and PaddleClas; return its folder of programs."""
    programs = folder / "venv/bin"
    wanted = f"ppcls_slim[cpu,openvino] @ {wheel.as_uri()}"
    if UV:
        run(UV, "venv", "--python", sys.executable, folder / "venv", cwd=folder)
        pip = (UV, "pip", "install", "--python", programs / "python")
    else:
        run(sys.executable, "-m", "venv", folder / "venv", cwd=folder)
        pip = (programs / "python", "-m", "pip", "install", "--quiet")
    run(*pip, wanted, cwd=folder)
    run(*pip, "--no-deps", *WITHOUT_THEIR_PINS, cwd=folder)
    return programs


@pytest.mark.slow
def test_the_sdist_is_what_a_wheel_needs_and_the_wheel_what_a_user_needs(built):
    (wheel,), (sdist,) = built.glob("*.whl"), built.glob("*.tar.gz")
    assert wheel.name.split("-")[1] == ppcls_slim.__version__
    inside = set(zipfile.ZipFile(wheel).namelist())
    quickstart = {f"ppcls_slim/quickstart/{path.name}" for path in (ROOT / "ppcls_configs/quickstart").iterdir()}
    assert quickstart <= inside
    assert {"ppcls_slim/py.typed", "ppcls_slim/recipes/recipes.csv"} <= inside
    package = ROOT / "plugin/ppcls_slim"
    modules = {str(path.relative_to(package.parent)) for path in package.rglob("*.py")}
    assert modules == {name for name in inside if name.endswith(".py")}
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"CHANGELOG.md", "LICENSE", "setup.py", "ppcls_configs/quickstart/digits_prune.yaml"} <= names
    assert not any(name.startswith(("tests", "benchmarks")) for name in names)


@pytest.mark.slow
def test_the_wheel_runs_where_nothing_else_is(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    programs = install(wheel, tmp_path)

    def ppcls_slim_command(*arguments: str) -> str:
        return run(programs / "ppcls-slim", *arguments, cwd=tmp_path, OMP_NUM_THREADS="1")

    script = "import ppcls_slim, importlib.metadata as m; print(ppcls_slim.__version__, m.version('ppcls_slim'))"
    version = ppcls_slim.__version__
    assert run(programs / "python", "-c", script, cwd=tmp_path).split() == [version, version]
    assert '"prune"' in ppcls_slim_command("schema")
    ppcls_slim_command("init", "--quickstart", "quickstart")
    plan = ppcls_slim_command("plan", "-c", "quickstart/digits_prune.yaml")
    assert re.search(r"FLOPs 12\.239 M -> 3\.576 M", plan), plan
    assert "0 error" in ppcls_slim_command("doctor", "-c", "quickstart/digits_prune.yaml")


def test_the_version_stands_in_one_place():
    texts = {name: (ROOT / name).read_text() for name in ("setup.cfg", "pyproject.toml", "setup.py")}
    assert "version = attr: ppcls_slim.__version__" in texts["setup.cfg"]
    assert not any(ppcls_slim.__version__ in text for text in texts.values())
