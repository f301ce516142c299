"""Pruning or quantizing random weights is said: while training, in the plan, and beside the weights."""

from __future__ import annotations

import json

import pytest
import yaml

from conftest import RECOGNITION, output_prefix
from ppcls_slim.config.section import read_section
from ppcls_slim.engine.random_weights import random_weights_warnings

WORDS = "from random weights (Global.pretrained_model is not set, and Arch.pretrained is off)"
PRUNE, QUANT = {"name": "fpgm", "pruned_ratio": 0.5}, {"name": "pact", "calibration_batches": 1}


@pytest.mark.paddle26
@pytest.mark.parametrize("section", [{"prune": PRUNE, "report": {"latency_runs": 1}}, {"quant": QUANT}])
def test_a_training_says_it_once_and_its_files_keep_it(cli, small, tmp_path, section):
    config = yaml.safe_load(small.read_text())
    config["Slim"] = section
    config["Optimizer"]["lr"]["learning_rate"] = 0.001
    small.write_text(yaml.safe_dump(config))
    trained = cli("train", "-c", small)
    assert trained.status == 0, trained.err
    assert trained.out.count(f"ppcls WARNING: ppcls_slim: Slim.{next(iter(section))} starts {WORDS}") == 1
    latest = output_prefix(tmp_path / "output", "latest")
    assert WORDS in json.loads(latest.with_name("latest.slim.json").read_text())["warnings"][0]
    if "report" in section:  # beside the table, and beside the exported model
        warning, page = trained.out.splitlines()[-2:]
        assert warning.startswith("warning: Slim.prune starts from random weights") and page.startswith("report: ")
        assert WORDS in json.loads((tmp_path / "inference/inference.slim.json").read_text())["warnings"][0]
        again = cli("train", "-c", small, "-o", f"Global.pretrained_model={latest}", "-o", "Slim.report=False")
        assert "ppcls WARNING: ppcls_slim" not in again.out
        assert WORDS in json.loads(latest.with_name("latest.slim.json").read_text())["warnings"][0]


def test_the_plan_says_it(cli, small, tmp_path):
    table = cli("plan", "-c", small, "--json", tmp_path / "plan.json").out
    assert table.splitlines()[-1].startswith("warning: Slim.prune starts from random weights")
    assert WORDS in json.loads((tmp_path / "plan.json").read_text())["warnings"][0]
    assert json.loads(cli("plan", "-c", small, "--json", "-").out)["warnings"]


@pytest.mark.parametrize(
    ("arch", "random"),
    [
        ({"name": "ResNet50"}, True),
        ({"name": "ResNet50", "pretrained": False}, True),
        ({"name": "ResNet50", "pretrained": True}, False),
        ({"name": "ResNet50", "pretrained": "https://example.com/weights"}, False),
        (RECOGNITION, True),
        ({**RECOGNITION, "Backbone": {"name": "ResNet18", "pretrained": True}}, False),
        ({"name": "DistillationModel", "pretrained_list": [None, None], "models": [{"Student": {}}]}, True),
        ({"name": "DistillationModel", "models": [{"Teacher": {"pretrained": True}}]}, False),
    ],
)
def test_weights_are_random_where_no_part_of_the_model_loads_any(arch, random):
    config = {"Global": {}, "Arch": arch, "Slim": {"prune": PRUNE, "quant": QUANT}}
    said = random_weights_warnings(config, read_section(config), None)
    assert len(said) == random
    assert not random or said[0].startswith("Slim.prune and Slim.quant start from random weights")
