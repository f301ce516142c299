"""PaddleClas's own sections: what a run will need is looked at before anything is built."""

from __future__ import annotations

import copy

import pytest
import yaml

from conftest import ROOT
from ppcls_slim.common.errors import SlimError
from ppcls_slim.common.overrides import override
from ppcls_slim.config.clas import REQUIRED, check_sections

CONFIG = yaml.safe_load((ROOT / "ppcls_configs/quickstart/digits_prune.yaml").read_text())


def refused(config, command="train"):
    with pytest.raises(SlimError) as error:
        check_sections(config, command)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("file", sorted((ROOT / "ppcls_configs").rglob("*.yaml")), ids=lambda file: file.stem)
def test_our_configurations_pass(file):
    config = yaml.safe_load(file.read_text())
    for command in set(REQUIRED) - (set() if "Train" in config["DataLoader"] else {"train"}):
        check_sections(config, command)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("epochs", ["x", None, -1, 1.5, [2], {}, True, 10**30]),
        ("image_shape", [3, "x", None, [], [3, 32], [3, 0, 32], [3, "x", 32], [3, None, 32], [3, 1e308, 32]]),
        ("image_shape", [[3, 32.0, 32]]),
        ("output_dir", [None, [], {}, 3, "", "x" * 5000, "a\0b"]),
        ("save_inference_dir", [None, [], 3]),
        ("pretrained_model", [[], 3, True, "x" * 5000]),
        ("checkpoints", [[], 3, {}]),
        ("seed", [-1, 0.0, "x", [1, 2], float("nan"), 2**32]),
        ("print_batch_step", [0, -1, None, "x", [100], {"a": 1}, float("inf")]),
        ("save_interval", [0, None, "x"]),
        ("eval_interval", [0, -1, None, float("nan")]),
        ("start_eval_epoch", ["x", -1]),
        ("device", [None, 3, {}, []]),
        ("eval_during_train", [None, "x", 2]),
        ("use_visualdl", [None, "x", []]),
        ("class_num", ["x", 0]),
    ],
)  # fmt: skip
def test_wrong_values_of_global(key, values):
    for value in values:
        config = copy.deepcopy(CONFIG)
        config["Global"][key] = value
        assert f"Global.{key}" in refused(config, "export" if key == "save_inference_dir" else "train")


@pytest.mark.parametrize(
    "key", ["epochs", "save_interval", "eval_interval", "print_batch_step", "use_visualdl", "output_dir", "device"]
)
def test_missing_keys_of_global(key):
    config = copy.deepcopy(CONFIG)
    del config["Global"][key]
    message = refused(config)
    assert message.startswith(f"Global.{key} is missing")
    assert f"-o Global.{key}=" in message
    config["Global"][f"{key}s"] = 1
    assert f"instead there is '{key}s'" in refused(config)


@pytest.mark.parametrize("section", ["Global", "Arch", "DataLoader", "Optimizer", "Loss"])
def test_missing_sections(section):
    for value in (None, "x", [], 3):
        config = {**CONFIG, section: value}
        assert section in refused(config)
    config = {key: value for key, value in CONFIG.items() if key != section}
    assert section in refused(config)


def test_a_misspelt_section_is_named():
    config = {key: value for key, value in CONFIG.items() if key != "DataLoader"}
    config["Dataloader"] = CONFIG["DataLoader"]
    assert refused(config).startswith("DataLoader is missing (instead there is 'Dataloader')")


@pytest.mark.parametrize(
    ("option", "words"),
    [
        ("Arch.name=3", ["Arch.name is 3"]),
        ("Arch.class_num=ten", ["Arch.class_num is 'ten'"]),
        ("DataLoader.Train.sampler.batch_size=0", ["DataLoader.Train.sampler.batch_size is 0"]),
        ("DataLoader.Train.sampler.batch_size=64*2", ["DataLoader.Train.sampler.batch_size is '64*2'"]),
        ("DataLoader.Eval.loader.num_workers=-1", ["DataLoader.Eval.loader.num_workers is -1"]),
        ("DataLoader.Eval.dataset.transform_ops.0=x", ["DataLoader.Eval.dataset.transform_ops.0 is 'x'"]),
        ("DataLoader.Eval.sampler=null", ["DataLoader.Eval.sampler is missing"]),
        ("DataLoader.Train=null", ["DataLoader.Train is missing"]),
        ("Loss.Train=CELoss", ["Loss.Train is 'CELoss'"]),
        ("Optimizer.lr=0.1", ["Optimizer.lr is 0.1"]),
        ("Optimizer.lr.learning_rate=x", ["Optimizer.lr.learning_rate is 'x'"]),
        ("Global.list=[{a: 1}, 2]", ["Global.list is a list of sections with something else"]),
    ],
)
def test_other_sections(option, words):
    config = copy.deepcopy(CONFIG)
    override(config, option)
    message = refused(config)
    for word in words:
        assert word in message


def test_what_a_command_does_not_need_is_not_asked_for():
    small = {"Global": {"device": "cpu", "image_shape": [3, 32, 32]}, "Arch": {"name": "ResNet18"}}
    check_sections(small, "plan")
    assert "Global.output_dir is missing" in refused(small, "export")


def test_several_optimizers_and_retrieval_are_left_to_paddleclas():
    part = CONFIG["DataLoader"]["Eval"]
    evaluation = {"Train": CONFIG["DataLoader"]["Train"], "Eval": {"Query": part, "Gallery": part}}
    check_sections({**CONFIG, "Optimizer": [{"Momentum": {"scope": "x"}}], "DataLoader": evaluation}, "train")
