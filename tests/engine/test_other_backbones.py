"""The road on backbones that are built differently, through PaddleClas's own configuration keys."""

from __future__ import annotations

import copy

import pytest
import yaml

from conftest import RECOGNITION, output_prefix

pytestmark = pytest.mark.paddle26


def carried_through(cli, config, tmp_path, images):
    """Train, evaluate, export and predict; returns what export printed."""
    assert cli("train", "-c", config).status == 0
    override = ("-o", f"Global.pretrained_model={output_prefix(tmp_path / 'output', 'latest')}")
    assert cli("eval", "-c", config, *override).status == 0
    exported = cli("export", "-c", config, *override)
    assert exported.status == 0, exported.err
    assert cli("predict", "--model-dir", tmp_path / "inference", "--images", images).status == 0
    return exported.out


@pytest.mark.parametrize("arch", ["MobileNetV2_x0_25", "GhostNet_x0_5", "CifarResNet8"])
def test_a_backbone_that_upstreams_section_ignores(cli, small, tmp_path, digits, arch):
    config = yaml.safe_load(small.read_text())
    config["Arch"]["name"] = arch
    config["Slim"]["prune"]["pruned_ratio"] = 0.3
    small.write_text(yaml.safe_dump(config))
    out = carried_through(cli, small, tmp_path, digits / "images/test")
    assert "same top-1 on 100.0 %" in out


def test_a_recognition_model_with_backbone_neck_and_head(cli, small, tmp_path, digits):
    """``Arch.name: RecModel`` as in PaddleClas's vehicle configurations, evaluated by retrieval."""
    config = yaml.safe_load(small.read_text())
    evaluation = config["DataLoader"]["Eval"]
    config["Global"]["eval_mode"] = "retrieval"
    config["Arch"] = copy.deepcopy(RECOGNITION)
    config["DataLoader"]["Eval"] = {"Query": evaluation, "Gallery": yaml.safe_load(yaml.safe_dump(evaluation))}
    config["Metric"] = {"Eval": [{"Recallk": {"topk": [1, 5]}}, {"mAP": {}}]}
    del config["Infer"]
    small.write_text(yaml.safe_dump(config))
    out = carried_through(cli, small, tmp_path, digits / "images/test/")
    assert "evaluation data" in out
