"""Checkpoints and exported models that an earlier version wrote still load and compute what they did.

``96686d1/`` holds the last checkpoints of three quickstart configurations (Paddle 3.3.1, seed 3) and two exported
models, as that commit wrote them; each sidecar file says which top-1 was measured when it was saved.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from conftest import ROOT
from ppcls_slim.compat.paddle import installed_paddle

pytestmark = pytest.mark.paddle26
WRITTEN = Path(__file__).parent / "96686d1"
# Folder of the checkpoint -> quickstart configuration.
CHECKPOINTS = {"prune": "digits_prune", "schedule": "digits_schedule", "prune_quant": "digits_prune_quant"}


def overrides(digits: Path, tmp_path: Path, *more: str) -> list[str]:
    data = [f"DataLoader.{part}.dataset.image_root={digits}" for part in ("Train", "Eval")]
    folders = [f"Global.output_dir={tmp_path / 'output'}", f"Global.save_inference_dir={tmp_path / 'inference'}"]
    return [part for one in (*data, *folders, *more) for part in ("-o", one)]


def checkpoint(tmp_path: Path, folder: str) -> Path:
    """A copy: opening a checkpoint may finish an interrupted save in its folder."""
    return shutil.copytree(WRITTEN / folder, tmp_path / folder) / "latest"


def config(name: str) -> Path:
    return ROOT / f"ppcls_configs/quickstart/{CHECKPOINTS[name]}.yaml"


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_has_the_accuracy_that_it_was_saved_with(cli, digits, tmp_path, name):
    prefix = checkpoint(tmp_path, name)
    metric = json.loads(prefix.with_name("latest.slim.json").read_text())["metric"]
    result = cli("eval", "-c", config(name), *overrides(digits, tmp_path, f"Global.pretrained_model={prefix}"))
    assert result.status == 0, result.err
    top1 = float(re.findall(r"\[Avg\].*top1: ([\d.]+)", result.out + result.err)[-1])
    assert top1 == pytest.approx(metric, abs=1.5 / 360)  # one of 360 images may fall either way in another Paddle


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_resumed(cli, digits, tmp_path, name):
    prefix = checkpoint(tmp_path, name)
    epoch = json.loads(prefix.with_name("latest.slim.json").read_text())["epoch"]
    more = [f"Global.checkpoints={prefix}", "Slim.report=False"]
    key = "Slim.quant.epochs" if name == "prune_quant" else "Global.epochs"
    result = cli("train", "-c", config(name), *overrides(digits, tmp_path, *more, f"{key}={epoch + 1}"))
    assert result.status == 0, result.err
    assert f"[Train][Epoch {epoch + 1}/" in result.out + result.err
    assert f"[Train][Epoch {epoch}/" not in result.out + result.err
    saved = json.loads(next((tmp_path / "output").rglob("latest.slim.json")).read_text())
    assert saved["epoch"] == epoch + 1
    if name != "schedule":
        before = json.loads(prefix.with_name("latest.slim.json").read_text())
        assert saved["prune"] == before["prune"]


@pytest.mark.parametrize("name", CHECKPOINTS)
def test_a_checkpoint_is_exported(cli, digits, tmp_path, name):
    prefix = checkpoint(tmp_path, name)
    result = cli("export", "-c", config(name), *overrides(digits, tmp_path, f"Global.pretrained_model={prefix}"))
    assert result.status == 0, result.err
    assert json.loads((tmp_path / "inference/inference.slim.json").read_text())["verified"]


@pytest.mark.parametrize("folder", ["inference_pruned", "inference_int8"])
def test_an_exported_model_predicts(cli, digits, tmp_path, folder):
    if (WRITTEN / folder / "inference.json").is_file() and installed_paddle().startswith("2."):
        pytest.skip("Paddle 2 does not read inference.json")
    images = sorted((digits / "images/test").glob("*.png"))[:20]
    (tmp_path / "images").mkdir()
    for image in images:
        shutil.copy(image, tmp_path / "images")
    found = tmp_path / "found.json"
    result = cli(
        "predict",
        "--model-dir",
        WRITTEN / folder,
        "--images",
        tmp_path / "images",
        "--device",
        "cpu",
        "--json",
        found,
    )
    assert result.status == 0, result.err
    predicted = [one["class_ids"][0] for one in json.loads(found.read_text())]
    actual = [int(image.stem.rsplit("_", 1)[1]) for image in images]
    assert np.mean(np.equal(predicted, actual)) >= 0.9
