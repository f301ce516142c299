"""The learning rate with which trained weights are quantized."""

from __future__ import annotations

import re

import pytest
import yaml

from conftest import ROOT, output_prefix
from ppcls_slim.checkpoint import Metadata
from ppcls_slim.config.section import SlimConfig
from ppcls_slim.engine.fine_tuning import set_learning_rate

TRAINED = {"name": "ResNet18", "pretrained": True}
COSINE = {"name": "Cosine", "learning_rate": 0.005, "warmup_epoch": 5, "warmup_start_lr": 0.001, "eta_min": 1}


def rates(lr, quant=None, arch=TRAINED, resumes=False, noted=None, epochs=10, optimizer=None):
    """``Optimizer.lr`` as it is trained with, what the checkpoint notes, and what is said."""
    lr = dict(lr)
    config = {"Global": {"epochs": epochs}, "Arch": arch, "Optimizer": {"name": "Momentum", "lr": lr}}
    slim = SlimConfig.model_validate({"quant": {"name": "pact", **(quant or {})}})
    metadata = Metadata() if noted is None else Metadata(learning_rate_factor=noted)
    said = set_learning_rate(config, slim, None, resumes, metadata)
    return lr, metadata.learning_rate_factor, said


def test_trained_weights_get_a_tenth_of_every_rate_of_the_schedule():
    lr, noted, said = rates(COSINE)
    assert lr == {**COSINE, "learning_rate": 0.0005, "warmup_start_lr": 0.0001, "eta_min": 0.1}
    assert noted == 0.1
    assert "the learning rate is 0.0005, a tenth of Optimizer.lr.learning_rate 0.005" in said


def test_a_piecewise_schedule_is_scaled_where_its_values_are():
    piecewise = {"name": "Piecewise", "learning_rate": 0.1, "decay_epochs": [30, 60], "values": [0.1, 0.01, 0.001]}
    assert rates(piecewise)[0] == {**piecewise, "learning_rate": 0.01, "values": [0.01, 0.001, 0.0001]}
    asked = rates(piecewise, {"learning_rate": 0.02})[0]
    assert asked == {**piecewise, "learning_rate": 0.02, "values": [0.02, 0.002, 0.0002]}


@pytest.mark.parametrize(
    "keys",
    [
        {"quant": {"learning_rate": "same"}},
        {"arch": {"name": "ResNet18", "pretrained": False}},
        {"epochs": 0},
        {"resumes": True},  # a checkpoint that notes nothing was written before a tenth was the default
    ],
    ids=["same", "from scratch", "calibration only", "resumed, of an older version"],
)
def test_the_rate_is_kept(keys):
    assert rates(COSINE, **keys) == (COSINE, None, None)


def test_a_key_of_its_own_says_it_for_one_stage_as_for_two():
    for quant in ({"learning_rate": 0.01}, {"learning_rate": 0.01, "epochs": 3}):
        lr, noted, said = rates(COSINE, quant)
        assert (lr["learning_rate"], lr["warmup_start_lr"], noted, said) == (0.01, 0.002, None, None)


def test_a_training_is_resumed_with_the_rate_that_it_began_with():
    lr, noted, said = rates(COSINE, arch={"name": "ResNet18"}, resumes=True, noted=0.1)
    assert (lr["learning_rate"], noted, said) == (0.0005, 0.1, None)
    lr, noted, _ = rates(COSINE, arch={"name": "ResNet18"}, noted=0.1)  # a new training, from a quantized checkpoint
    assert (lr["learning_rate"], noted) == (0.005, None)


def test_a_training_is_resumed_so_without_a_section_too():
    config = {"Global": {"epochs": 10}, "Arch": TRAINED, "Optimizer": {"lr": dict(COSINE)}}
    set_learning_rate(config, SlimConfig(), None, True, Metadata(learning_rate_factor=0.1))
    assert config["Optimizer"]["lr"]["learning_rate"] == 0.0005


def test_every_published_configuration_says_its_rate_itself():
    for path in (ROOT / "ppcls_configs").rglob("*.yaml"):
        quant = (yaml.safe_load(path.read_text()).get("Slim") or {}).get("quant")
        assert quant is None or "learning_rate" in quant, path


@pytest.mark.paddle26
def test_the_training_says_and_uses_it_and_goes_on_with_it(cli, small, tmp_path):
    config = yaml.safe_load(small.read_text())
    config["Slim"] = {}
    config["Global"]["epochs"] = 0
    config["Optimizer"]["lr"] = {"name": "Constant", "learning_rate": 0.002}
    small.write_text(yaml.safe_dump(config))
    assert cli("train", "-c", small, "-o", "Global.output_dir=dense").status == 0
    dense = output_prefix(tmp_path / "dense", "best_model")
    quant = ("-o", "Slim={quant: {name: pact, calibration_batches: 2}}", "-o", "Global.print_batch_step=1")
    weights = ("-o", f"Global.pretrained_model={dense}")
    trained = cli("train", "-c", small, *quant, *weights, "-o", "Global.epochs=1")
    assert trained.status == 0, trained.err
    assert "the learning rate is 0.0002, a tenth" in trained.out
    assert set(re.findall(r"lr\(\w+\): ([\d.]+)", trained.out)) == {"0.00020000"}
    resumed = cli("train", "-c", small, *quant, "-o", "Global.epochs=2", "--resume", "auto")
    assert resumed.status == 0, resumed.err
    assert set(re.findall(r"lr\(\w+\): ([\d.]+)", resumed.out)) == {"0.00020000"}
