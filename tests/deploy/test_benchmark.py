"""``benchmark``: exported models side by side."""

from __future__ import annotations

import json
import shutil

import pytest

from ppcls_slim.compat.paddle_inference import has_bf16

pytestmark = pytest.mark.paddle26


@pytest.fixture
def exported(cli, root, tmp_path, digits):
    """The quickstart's dense model, exported; and the options that name its evaluation data."""
    dense = root / "ppcls_configs/quickstart/digits_dense"
    data = ["-c", f"{dense}.yaml", "-o", f"DataLoader.Eval.dataset.image_root={digits}", "-o", "Infer=None"]
    folder = tmp_path / "dense"
    weights = ("-o", f"Global.pretrained_model={dense}", "-o", f"Global.save_inference_dir={folder}")
    done = cli("export", *data, *weights)
    assert done.status == 0, done.err
    return folder, data


def test_models_are_measured_against_the_first(cli, exported, tmp_path):
    folder, data = exported
    done = cli("benchmark", folder, folder, "--batch-size", 1, 4, "--runs", 5, "--json", "out/figures.json", *data)
    assert done.status == 0, done.err
    figures = json.loads((tmp_path / "out/figures.json").read_text())
    rows = figures["measured"]
    assert [row["batch"] for row in rows] == [1, 1, 4, 4]
    assert [row["speed_up"] for row in rows[::2]] == [1.0, 1.0]
    assert rows[1]["speed_up"] == pytest.approx(rows[0]["median_ms"] / rows[1]["median_ms"])
    assert all(row["p90_ms"] >= row["median_ms"] >= row["p10_ms"] > 0 and row["variation"] >= 0 for row in rows)
    assert all("busy machine" in warning for warning in figures["warnings"])
    assert done.err.count("warning: ") == len(figures["warnings"])
    assert max(len(line) for line in done.out.splitlines() if line.startswith(("|", "+"))) <= 120
    assert rows[0]["top1"] == pytest.approx(0.9944, abs=1e-4)
    assert "99.44 %" in done.out
    assert "speed-up" in done.out


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--precision", "int8"], "is not quantized"),
        (["--precision", "fp16", "--device", "cpu"], "--precision fp16 is for --device gpu"),
    ],
)
def test_what_a_model_cannot_run_in_is_one_line(cli, exported, options, expected):
    refused = cli("benchmark", exported[0], *options)
    assert refused.status == 2
    assert expected in refused.message


def test_a_folder_without_a_model(cli, tmp_path):
    assert cli("benchmark", tmp_path / "nothing").message == (
        f"ppcls_slim: error: there is no folder {tmp_path / 'nothing'}; give one that ppcls-slim export wrote"
    )


def test_bf16_runs_where_the_machine_can(cli, exported):
    done = cli("benchmark", exported[0], "--precision", "bf16", "--runs", 2)
    assert done.status == 0, done.err
    assert "bf16" in done.out


def test_all_precisions_of_an_engine_are_measured_against_the_first(cli, exported, tmp_path):
    folder, data = exported
    options = ("--engine", "all", "--precision", "all", "--runs", 2, "--json", "figures.json")
    done = cli("benchmark", folder, *options, *data)
    assert done.status == 0, done.err
    rows = json.loads((tmp_path / "figures.json").read_text())["measured"]
    assert [row["precision"] for row in rows] == (["fp32", "bf16"] if has_bf16() else ["fp32"])
    assert rows[0]["same_as_first"] == 1.0
    assert all(row["same_as_first"] > 0.98 for row in rows)


def test_an_engine_without_an_export_or_unknown_is_one_line(cli, exported):
    folder, _ = exported
    assert "holds no export for it" in cli("benchmark", folder, "--engine", "openvino").message
    assert "did you mean 'paddle'" in cli("benchmark", folder, "--engine", "padle").message


def test_exports_of_two_models_are_not_taken_for_one(cli, exported):
    folder, _ = exported
    other = folder / "onnx"
    other.mkdir()
    shutil.copyfile(folder / "inference.yml", other / "inference.yml")
    (other / "inference.slim.json").write_text('{"plan": {"criterion": "fpgm"}}')
    assert "was exported from another model" in cli("benchmark", folder, "--engine", "all").message
