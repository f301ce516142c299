"""Training and export write the page of the run; tests/report/ looks at what it shows."""

from __future__ import annotations

import json

import pytest
import yaml

from conftest import output_prefix
from ppcls_slim.config.section import SlimConfig
from ppcls_slim.engine import page

PRUNE = {"name": "fpgm", "pruned_ratio": 0.5}
QUANT = {"name": "pact", "calibration_batches": 2}


@pytest.fixture
def asked(small):
    """Write the small configuration with this ``Slim`` section."""

    def write(epochs=1, **slim):
        config = yaml.safe_load(small.read_text())
        config["Slim"] = slim
        config["Global"]["epochs"] = epochs
        config["Optimizer"]["lr"] = {"name": "Constant", "learning_rate": 0.001}
        small.write_text(yaml.safe_dump(config))
        return small

    return write


def record_in(folder):
    return json.loads((folder / "report.json").read_text())


def epochs_of(record):
    return [(stage["name"], [epoch["epoch"] for epoch in stage["epochs"]]) for stage in record["stages"]]


@pytest.mark.paddle26
def test_a_run_in_two_stages_is_one_page_that_its_export_completes(cli, asked, tmp_path):
    path = asked(epochs=2, prune=PRUNE, quant={**QUANT, "epochs": 1, "learning_rate": 0.0005})
    output = tmp_path / "output"
    trained = cli("train", "-c", path)
    assert trained.status == 0, trained.err
    assert trained.out.splitlines()[-1] == f"report: {output / 'report.html'}"
    record = record_in(output)
    assert epochs_of(record) == [("pruned", [1, 2]), ("quantized", [1])]
    first = record["stages"][0]["epochs"][0]
    assert first["loss"] > 0
    assert first["learning_rate"] == 0.001
    assert None not in (first["train"], first["evaluated"])
    assert [stage["asked"]["epochs"] for stage in record["stages"]] == [2, 1]
    assert [stage["asked"]["learning_rate"] for stage in record["stages"]] == [0.001, 0.0005]
    assert [model["name"] for model in record["models"]] == ["dense", "pruned", "quantized"]
    assert record["models"][1]["flops"] < 0.4 * record["models"][0]["flops"]
    assert all(width["after"] <= width["before"] and width["importance"] for width in record["widths"])
    assert len(record["alpha"]) > 20
    assert all([epoch for epoch, _ in values] == [0, 1] for values in record["alpha"].values())
    assert any("random weights" in warning for warning in record["warnings"])
    assert record["commands"][0]["line"] == f"ppcls-slim train -c {path}"
    assert record["export"] is None
    assert (output / "float/report.html").is_file()

    best = next(path for path in output.rglob("best_model.pdparams") if "float" not in path.parts).with_suffix("")
    override = ("-o", f"Global.pretrained_model={best}", "-o", "Slim.quant.verify_samples=20")
    exported = cli("export", "-c", path, *override)
    assert exported.status == 0, exported.err
    assert exported.out.splitlines()[-1] == f"report: {output / 'report.html'}"
    export = record_in(output)["export"]
    assert (export["ways"][0]["model"], export["ways"][0]["precision"]) == ("dense", "fp32")
    assert {way["model"] for way in export["ways"]} == {"dense", "exported"}
    assert {one["run"] for one in export["agreement"]} == {"fake-quant", "exported, plain", "exported, int8"}
    text = (output / "report.html").read_text(encoding="utf-8")
    assert "Paddle Inference" in text
    assert f"--model-dir {tmp_path / 'inference'}" in text


def test_resumed_curves_go_on_where_they_stopped(cli, asked, tmp_path):
    path = asked(prune=PRUNE)
    assert cli("train", "-c", path).status == 0
    assert epochs_of(record_in(tmp_path / "output")) == [("pruned", [1])]
    latest = output_prefix(tmp_path / "output", "latest")
    before = record_in(tmp_path / "output")["stages"][0]["epochs"][0]
    assert cli("train", "-c", path, "-o", f"Global.checkpoints={latest}", "-o", "Global.epochs=3").status == 0
    record = record_in(tmp_path / "output")
    assert epochs_of(record) == [("pruned", [1, 2, 3])]
    assert record["stages"][0]["epochs"][0] == before
    first = output_prefix(tmp_path / "output", "epoch_1")
    assert cli("train", "-c", path, "-o", f"Global.checkpoints={first}", "-o", "Global.epochs=2").status == 0
    assert epochs_of(record_in(tmp_path / "output")) == [("pruned", [1, 2])]


@pytest.mark.parametrize(
    ("slim", "names"),
    [
        ({"quant": QUANT}, ["dense", "quantized"]),
        ({"prune": {**PRUNE, "schedule": {"name": "soft"}}}, ["dense", "pruned"]),
        ({"prune": PRUNE, "quant": QUANT}, ["dense", "pruned", "quantized"]),
    ],
)
def test_every_way_of_compressing_has_its_page(cli, asked, tmp_path, slim, names):
    assert cli("train", "-c", asked(**slim)).status == 0
    record = record_in(tmp_path / "output")
    assert [model["name"] for model in record["models"]] == names
    assert None not in [model["flops"] for model in record["models"]]
    assert bool(record["widths"]) == ("pruned" in names)
    assert bool(record["alpha"]) == ("quantized" in names)
    assert (tmp_path / "output/report.html").is_file()


def test_it_can_be_switched_off(cli, asked, tmp_path):
    trained = cli("train", "-c", asked(prune=PRUNE, report=False))
    assert trained.status == 0
    assert not list(tmp_path.rglob("report.*"))
    assert "report:" not in trained.out


@pytest.mark.parametrize(
    ("section", "writes"),
    [({}, True), ({"report": True}, True), ({"report": {"page": False}}, False), ({"report": False}, False)],
)
def test_the_key_that_switches_it_off_leaves_the_table(section, writes):
    assert SlimConfig.model_validate({"prune": PRUNE, **section}).writes_page == writes


def test_a_fault_in_the_page_is_a_warning_and_the_run_goes_on(cli, asked, tmp_path, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError("a scale of nothing")

    monkeypatch.delenv(page.FAULTS)
    monkeypatch.setattr(page, "write_page", broken)
    trained = cli("train", "-c", asked(prune=PRUNE))
    assert trained.status == 0
    assert "the page of the run was not written: ZeroDivisionError: a scale of nothing" in trained.out + trained.err
    assert output_prefix(tmp_path / "output", "best_model")


def test_what_is_not_compressed_and_not_asked_for_has_no_page(cli, asked, tmp_path):
    assert cli("train", "-c", asked()).status == 0
    assert not list(tmp_path.rglob("report.*"))
