"""Every mistake is one line that names the thing and the remedy, a non-zero exit, and nothing overwritten."""

from __future__ import annotations

import json
import shutil

import pytest

from conftest import output_prefix

pytestmark = pytest.mark.paddle26


@pytest.fixture(scope="module")
def pruned(tmp_path_factory, digits):
    """A pruned checkpoint, trained once for this file."""
    pytest.importorskip("paddle")
    import yaml

    from conftest import ROOT
    from ppcls_slim.cli import main

    folder = tmp_path_factory.mktemp("pruned")
    config = yaml.safe_load((ROOT / "ppcls_configs/quickstart/digits_prune.yaml").read_text())
    config["Arch"]["name"] = "MobileNetV1_x0_25"
    config["Slim"] = {"prune": {"name": "fpgm", "pruned_ratio": 0.5}}
    config["Global"].update(pretrained_model=None, output_dir=str(folder / "output"), epochs=1)
    for part, split in (("Train", "train"), ("Eval", "test")):
        dataset = config["DataLoader"][part]["dataset"]
        del dataset["split"]
        dataset.update(
            name="ImageNetDataset", image_root=str(digits), cls_label_path=str(digits / f"few_{split}.txt")
        )
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["train", "-c", str(folder / "config.yaml")]) == 0
    return output_prefix(folder, "latest")


def copy_of(stem, folder):
    """Copy a checkpoint so that a test may damage it."""
    for file in stem.parent.glob(f"{stem.name}.*"):
        shutil.copy(file, folder / file.name)
    return folder / stem.name


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("Slim.prune.pruned_rato=0.3", ["Slim.prune.pruned_rato", "did you mean 'pruned_ratio'"]),
        ("Slim.prune.name=fpgn", ["'fpgn'", "did you mean 'fpgm'"]),
        ("Slim.prune.pruned_ratio=1.2", ["Slim.prune.pruned_ratio", "1.2"]),
        ("Slim.prune.skip=['blocks.*.cnv']", ["Slim.prune.skip", "blocks.*.cnv", "matches no convolution"]),
        ("Slim.prune.ratios={'conv.cnov': 0.2}", ["conv.cnov", "did you mean 'conv.conv'"]),
        ("Slim.prune.pruned_ratio=0.99", ["conv.conv (8 channels)", "with none", "0.875"]),
        ("Slim.prune.align=512", ["prunes nothing", "align 512"]),
        ("Slim.prune.pruned_ratio=0.001", ["prunes nothing", "raise the ratio"]),
        ("DataLoader.Train.dataset.image_root=./nowhere", ["DataLoader.Train.dataset.image_root", "./nowhere"]),
        ("DataLoader.Eval.dataset.cls_label_path=none.txt", ["DataLoader.Eval.dataset.cls_label_path", "none.txt"]),
        ("Global.pretrained_model=nothing/here", ["Global.pretrained_model", "nothing/here.pdparams"]),
        ("Global.checkpoints=nothing/here", ["Global.checkpoints", "nothing/here.pdparams"]),
        ("Arch.name=MobileNetV9", ["Arch", "MobileNetV9"]),
        ("Global.epochs", ["-o Global.epochs", "Key.sub=value"]),
    ],
)
def test_training_refuses(cli, small, tmp_path, override, words):
    result = cli("train", "-c", small, "-o", override)
    assert result.status == 2
    for word in words:
        assert word in result.message
    assert not list(tmp_path.rglob("*.pdparams"))


def test_gpu_where_there_is_none(cli, small):
    from ppcls_slim.compat.paddle import gpu_available

    if gpu_available():
        pytest.skip("this machine has a GPU")
    result = cli("train", "-c", small, "-o", "Global.device=gpu")
    assert result.status == 2
    assert "Global.device" in result.message
    assert "Global.device=cpu" in result.message


def test_config_that_is_not_there_names_the_nearest(cli, small):
    result = cli("train", "-c", small.with_name("smal.yaml"))
    assert result.status == 2
    assert "smal.yaml" in result.message
    assert "small.yaml" in result.message


def test_config_that_is_no_yaml(cli, small):
    small.write_text("Global: [1, 2\nArch: {")
    result = cli("train", "-c", small)
    assert result.status == 2
    assert "not valid YAML" in result.message


def test_list_that_names_a_missing_image(cli, small, digits, tmp_path):
    listing = tmp_path / "list.txt"
    listing.write_text((digits / "few_train.txt").read_text() + "images/train/gone.png 3\n")
    result = cli("train", "-c", small, "-o", f"DataLoader.Train.dataset.cls_label_path={listing}")
    assert result.status == 2
    assert "line 65" in result.message
    assert "gone.png" in result.message


def test_model_without_convolutions(cli, small):
    import ppcls.arch

    from ppcls_slim.compat.paddle import paddle

    class Perceptron(paddle.nn.Layer):
        def __init__(self, class_num=10):
            super().__init__()
            self.layers = paddle.nn.Sequential(paddle.nn.Flatten(), paddle.nn.Linear(3 * 32 * 32, class_num))

        def forward(self, x):
            return self.layers(x)

    ppcls.arch.Perceptron = Perceptron
    try:
        result = cli("train", "-c", small, "-o", "Arch.name=Perceptron")
    finally:
        del ppcls.arch.Perceptron
    assert result.status == 2
    assert "Perceptron has no convolution" in result.message


def test_image_that_is_not_there(cli, small, pruned):
    result = cli("infer", "-c", small, "-o", f"Global.pretrained_model={pruned}", "-o", "Infer.infer_imgs=no.png")
    assert result.status == 2
    assert "Infer.infer_imgs" in result.message
    assert "no.png" in result.message


def test_evaluation_without_a_checkpoint(cli, small):
    result = cli("eval", "-c", small)
    assert result.status == 2
    assert "Global.pretrained_model" in result.message


@pytest.mark.parametrize("command", ["eval", "export"])
def test_checkpoint_without_its_plan(cli, small, pruned, tmp_path, command):
    stem = copy_of(pruned, tmp_path)
    (tmp_path / "latest.slim.json").unlink()
    result = cli(command, "-c", small, "-o", f"Global.pretrained_model={stem}")
    assert result.status == 2
    assert "latest.slim.json" in result.message
    assert not (tmp_path / "inference").exists()


def test_resuming_without_the_plan(cli, small, pruned, tmp_path):
    stem = copy_of(pruned, tmp_path)
    (tmp_path / "latest.slim.json").unlink()
    result = cli("train", "-c", small, "-o", f"Global.checkpoints={stem}")
    assert result.status == 2
    assert "latest.slim.json" in result.message


def test_plan_of_another_model(cli, small, pruned):
    result = cli("eval", "-c", small, "-o", f"Global.pretrained_model={pruned}", "-o", "Arch.name=ResNet18")
    assert result.status == 2
    assert "does not fit the model" in result.message


def test_weights_that_are_cut_off(cli, small, pruned, tmp_path):
    stem = copy_of(pruned, tmp_path)
    weights = stem.with_name("latest.pdparams")
    weights.write_bytes(weights.read_bytes()[:5000])
    result = cli("eval", "-c", small, "-o", f"Global.pretrained_model={stem}")
    assert result.status == 2
    assert "SHA-256" in result.message
    assert "cut off" in result.message


def test_dense_weights_that_are_cut_off(cli, small, pruned, tmp_path):
    stem = copy_of(pruned, tmp_path)
    (tmp_path / "latest.slim.json").unlink()
    weights = stem.with_name("latest.pdparams")
    weights.write_bytes(weights.read_bytes()[:5000])
    result = cli("train", "-c", small, "-o", f"Global.pretrained_model={stem}")
    assert result.status == 2
    assert "cannot be loaded" in result.message


def test_weights_of_another_save(cli, small, pruned, tmp_path):
    stem = copy_of(pruned, tmp_path)
    weights = bytearray(stem.with_name("latest.pdparams").read_bytes())
    weights[-100] ^= 1
    stem.with_name("latest.pdparams").write_bytes(bytes(weights))
    result = cli("eval", "-c", small, "-o", f"Global.pretrained_model={stem}")
    assert result.status == 2
    assert "SHA-256" in result.message


@pytest.mark.parametrize("damage", ["not json", {"weights": {}}, {"prune": {"format": 99}}, {"prune": {"format": 1}}])
def test_plan_that_is_damaged(cli, small, pruned, tmp_path, damage):
    stem = copy_of(pruned, tmp_path)
    sidecar = stem.with_name("latest.slim.json")
    whole = json.loads(sidecar.read_text())
    sidecar.write_text(damage if isinstance(damage, str) else json.dumps({**whole, **damage}))
    result = cli("eval", "-c", small, "-o", f"Global.pretrained_model={stem}")
    assert result.status == 2
    assert "plan" in result.message or "cannot be read" in result.message


def test_predict_without_an_exported_model(cli, tmp_path, digits):
    for folder in (tmp_path / "nowhere", tmp_path):
        result = cli("predict", "--model-dir", folder, "--images", digits)
        assert result.status == 2
        assert "--model-dir" in result.message


def test_engine_that_cannot_be_found(monkeypatch, tmp_path):
    from ppcls_slim.common.errors import SlimError
    from ppcls_slim.compat.paddleclas import find as find_ppcls

    monkeypatch.setenv(find_ppcls.VARIABLE, str(tmp_path))
    with pytest.raises(SlimError, match="is not a PaddleClas checkout"):
        find_ppcls.find_ppcls()
    monkeypatch.delenv(find_ppcls.VARIABLE)
    monkeypatch.setattr(find_ppcls, "_importable", lambda: None)
    monkeypatch.setattr(find_ppcls.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SlimError, match=r"pip install --no-deps paddleclas==2\.4\.2"):
        find_ppcls.find_ppcls()


def test_wheel_without_an_engine(monkeypatch, tmp_path):
    """paddleclas 2.4.3 to 2.6.0 hold the backbones only."""
    import importlib.machinery

    from ppcls_slim.common.errors import SlimError
    from ppcls_slim.compat.paddleclas import find as find_ppcls

    (tmp_path / "paddleclas" / "ppcls" / "arch").mkdir(parents=True)
    spec = importlib.machinery.ModuleSpec("paddleclas", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path / "paddleclas")]
    monkeypatch.setattr(find_ppcls, "_importable", lambda: None)
    monkeypatch.setattr(find_ppcls.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(SlimError, match="has no training engine"):
        find_ppcls.find_ppcls()
