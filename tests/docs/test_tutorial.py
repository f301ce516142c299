"""The tutorial's files and commands are right as they stand on the page."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import ROOT

sys.path.insert(0, str(ROOT / "docs/tooling"))
from pages import code_blocks

BLOCKS = code_blocks((ROOT / "docs/tutorial.md").read_text(encoding="utf-8"))
COMMANDS, PREDICT = (block.text for block in BLOCKS if block.language == "bash")
DRAW, LISTS = (block.text for block in BLOCKS if block.language == "python")
DENSE, SLIM = (block.text for block in BLOCKS if block.language == "yaml")


def run(command, place):
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "PPCLS_SLIM_CACHE": str(place / "cache")}
    done = subprocess.run(["bash", "-ec", command], cwd=place, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with the images and the files that the page tells to write."""
    folder = tmp_path_factory.mktemp("tutorial")
    for name, text in {
        "draw.py": DRAW,
        "make_lists.py": LISTS,
        "mine.yaml": DENSE,
        "fast.yaml": DENSE + SLIM,
    }.items():
        (folder / name).write_text(text, encoding="utf-8")
    run("python draw.py", folder)
    assert "20 classes, 480 images to train on, 120 to evaluate" in run("python make_lists.py images", folder)
    return folder


def test_there_are_at_most_six_commands():
    commands = re.sub(r"\\\n", "", COMMANDS).splitlines()
    assert len(commands) <= 6
    assert [int(number) for number in re.findall(r"# (\d)", COMMANDS)] == list(range(1, len(commands) + 1))


def test_the_lists_name_images_of_every_class(place):
    for part in ("train", "val"):
        rows = [line.split() for line in (place / f"images/{part}_list.txt").read_text().splitlines()]
        assert {int(label) for _, label in rows} == set(range(20))
        assert all((place / "images" / path).is_file() for path, _ in rows)


@pytest.mark.parametrize("name", ["mine.yaml", "fast.yaml"])
def test_the_configuration_is_what_train_needs(place, name):
    from ppcls_slim.common.yaml_file import read_yaml
    from ppcls_slim.config.clas import check_sections
    from ppcls_slim.config.section import read_section

    config = read_yaml(place / name)
    check_sections(config, "train")
    assert (read_section(config) is not None) == (name == "fast.yaml")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_the_commands_lead_to_a_model_that_is_twice_as_fast(place):
    for module in ("onnxruntime", "paddle2onnx"):
        pytest.importorskip(module, reason=f"{module} is not installed: pip install 'ppcls_slim[onnx]'")
    for name in ("mine.yaml", "fast.yaml"):
        text = (place / name).read_text(encoding="utf-8")
        (place / name).write_text(text.replace("epochs: 10\n", "epochs: 4\n"), encoding="utf-8")
    commands = re.sub(r"\\\n", "", COMMANDS).replace("Global.epochs=3", "Global.epochs=1").splitlines()
    out = "".join(run(command, place) for command in commands if not command.startswith("pip "))
    faster = re.findall(r"measured [\d.]+ ms, dense [\d.]+ ms: ([\d.]+) times on ONNX Runtime", out)
    assert float(faster[-1]) > 1.9
    assert "label_name" in run(PREDICT, place)
