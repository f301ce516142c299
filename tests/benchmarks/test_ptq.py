"""The benchmark of quantization without training: its ways and its table."""

from __future__ import annotations

import pytest
from benchmarks.ptq.configuration import Setup, configuration, options_of
from benchmarks.ptq.record import read_rows, table, write_rows

from conftest import ROOT
from ppcls_slim.common.errors import SlimError
from ppcls_slim.config.section import read_section


def test_a_way_is_an_observer_and_options():
    assert options_of("mse+equalize") == {"observer": "mse", "equalize": True}
    with pytest.raises(SlimError, match=r"--ways mse\+equal: 'equal' is not an option; there are equalize"):
        options_of("mse+equal")


def test_nothing_is_trained_and_images_are_the_same_for_every_way(tmp_path):
    config = configuration(Setup("ResNet-32", tmp_path, 10), tmp_path / "float", tmp_path, options_of("kl"))
    assert (config["Global"]["epochs"], config["Arch"]["name"]) == (0, "CifarResNet32")
    assert not config["DataLoader"]["Train"]["sampler"]["shuffle"]
    assert read_section(config).quant.observer == "kl"


def test_digits_are_calibrated_with_training_images_as_they_are(tmp_path):
    config = configuration(Setup("PPLCNet_x0_25", tmp_path, 10), tmp_path / "float", tmp_path, options_of("kl"))
    train, evaluation = (config["DataLoader"][part]["dataset"] for part in ("Train", "Eval"))
    assert (train["split"], config["Arch"]["name"]) == ("train", "PPLCNet_x0_25")
    assert train["transform_ops"] == evaluation["transform_ops"]


def test_the_table_has_a_line_for_each_network_and_way(tmp_path):
    common = {"network": "ResNet-20", "images": 10}
    rows = [
        {**common, "way": "nncf", "engine": "openvino", "top1": 91.0, "same_as_fake_quant": None},
        {**common, "way": "mse", "engine": "fake-quant", "top1": 92.0, "same_as_fake_quant": 100.0},
        {**common, "way": "mse", "engine": "paddle", "top1": 91.5, "same_as_fake_quant": 99.1},
    ]
    write_rows(tmp_path / "rows.json", rows)
    assert read_rows(tmp_path / "rows.json") == rows
    assert table(rows).splitlines()[2:] == [
        "| ResNet-20 | nncf |  |  |  | 91.00 |",
        "| ResNet-20 | mse | 92.00 | 91.50 (99.10) |  |  |",
    ]


@pytest.mark.parametrize("record", ["cifar10", "digits"])
def test_the_documentation_has_the_table_of_the_record(record):
    rows = read_rows(ROOT / f"benchmarks/ptq/{record}.json")
    assert rows
    page, chinese = ((ROOT / f"docs/reproduction{end}").read_text(encoding="utf-8") for end in (".md", ".zh.md"))
    assert [line for line in table(rows).splitlines() if line not in page] == []
    assert [line for line in table(rows).splitlines()[2:] if line not in chinese] == []
