"""Quantization from the YAML to a prediction in real int8, through the tools' own command line."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from conftest import output_prefix
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.quant import prepare

pytestmark = pytest.mark.paddle26


@pytest.fixture
def quant(small):
    """Set the Slim section of the small configuration."""

    def configure(prune=None, **keys):
        config = yaml.safe_load(small.read_text())
        config["Slim"] = {"quant": {"name": "pact", "calibration_batches": 2, **keys}}
        if prune:
            config["Slim"]["prune"] = prune
        config["Optimizer"]["lr"]["learning_rate"] = 0.001
        small.write_text(yaml.safe_dump(config))
        return small

    return configure


def sidecar(stem):
    return json.loads(stem.with_name(f"{stem.name}.slim.json").read_text())


def test_train_eval_export_predict(cli, quant, tmp_path, digits):
    path = quant(skip=["fc"])
    trained = cli("train", "-c", path)
    assert trained.status == 0, trained.err
    stem = output_prefix(tmp_path / "output", "latest")
    metadata = sidecar(stem)["quant"]
    assert metadata["layers"]["conv.conv"] == "two_sided"
    history = sidecar(stem)["alpha"]
    assert history.keys() == metadata["layers"].keys()
    assert [epoch for epoch, _ in history["conv.conv"]] == [0, 1]
    assert (stem.parent / "alpha.png").read_bytes().startswith(b"\x89PNG")
    assert metadata["floats"] == {"fc": "Slim.quant.skip: fc"}
    override = ("-o", f"Global.pretrained_model={stem}")
    assert cli("eval", "-c", path, *override, "-o", "Slim=None").status == 0
    exported = cli("export", "-c", path, *override, "-o", "Slim.quant.verify_samples=20")
    assert exported.status == 0, exported.err
    assert "exported, int8" in exported.out
    folder = tmp_path / "inference"
    names = {p.name for p in folder.iterdir()}
    assert {"inference.pdmodel", "inference.pdiparams", "inference.slim.json", "HOW_TO_RUN_FAST.txt"} <= names
    verified = json.loads((folder / "inference.slim.json").read_text())["verified"]
    assert 20 <= verified["samples"] < 64  # whole batches
    runs = verified["runs"]
    assert set(runs) == {"fake-quant", "exported, plain", "exported, int8"}
    predicted = cli("predict", "--model-dir", folder, "--images", digits / "images/test", "--json", "out.json")
    assert predicted.status == 0, predicted.err
    assert len(json.loads((tmp_path / "out.json").read_text())) == 360
    measured = cli("benchmark", folder, "--runs", 2, "--json", "bench.json")
    assert measured.status == 0, measured.err
    assert json.loads((tmp_path / "bench.json").read_text())["measured"][0]["precision"] == "int8"


def test_a_trained_model_decides_in_int8_as_in_fake_quant(cli, root, tmp_path, digits):
    """The quickstart, one epoch: trained digit weights, calibrated and trained, exported and verified."""
    name = "quickstart/digits_dense"
    overrides = [
        f"Global.pretrained_model={root / 'ppcls_configs' / name}",
        "Global.epochs=1",
        f"DataLoader.Train.dataset.image_root={digits}",
        f"DataLoader.Eval.dataset.image_root={digits}",
        "Infer=None",
    ]
    path = root / "ppcls_configs/quickstart/digits_quant.yaml"
    done = cli("train", "-c", path, *(word for one in overrides for word in ("-o", one)))
    assert done.status == 0, done.err
    assert "top-1, real int8" in done.out
    verified = json.loads((tmp_path / "inference/digits_quant/inference.slim.json").read_text())["verified"]
    assert verified["samples"] == 360
    assert verified["runs"]["exported, plain"]["same_as_fake_quant"] >= 0.99
    assert verified["runs"]["exported, int8"]["same_as_fake_quant"] >= 0.98
    assert verified["runs"]["exported, int8"]["top1"] >= 0.97
    assert not verified["warned"]


def test_lsq_trains_goes_on_and_is_exported(cli, quant, tmp_path):
    path = quant(name="lsq")
    trained = cli("train", "-c", path)
    assert trained.status == 0, trained.err
    stem = output_prefix(tmp_path / "output", "latest")
    assert set(sidecar(stem)["quant"]["layers"].values()) == {"signed", "unsigned"}
    resumed = cli("train", "-c", path, "-o", f"Global.checkpoints={stem}", "-o", "Global.epochs=2")
    assert resumed.status == 0, resumed.err
    assert "LSQ: " in resumed.out
    history = sidecar(stem)["alpha"]
    assert all([epoch for epoch, _ in values] == [0, 1, 2] for values in history.values())
    assert all(values[0][1] != values[-1][1] for values in history.values())
    override = ("-o", f"Global.pretrained_model={stem}", "-o", "Slim.quant.verify_samples=20")
    exported = cli("export", "-c", path, *override)
    assert exported.status == 0, exported.err
    assert "exported, int8" in exported.out
    small_bits = cli("train", "-c", quant(name="lsq", weight_bits=4, activation_bits=4))
    assert small_bits.status == 0, small_bits.err


def test_int8_weights_are_a_quarter_of_the_float_ones(cli, quant, tmp_path):
    sizes = {}
    for onnx_format in (True, False):
        path = quant(onnx_format=onnx_format)
        assert cli("train", "-c", path).status == 0
        stem = output_prefix(tmp_path / "output", "latest")
        exported = cli("export", "-c", path, "-o", f"Global.pretrained_model={stem}")
        assert exported.status == 0, exported.err
        sizes[onnx_format] = (tmp_path / "inference/inference.pdiparams").stat().st_size
    assert sizes[True] < 0.4 * sizes[False]


def test_layers_that_cost_accuracy_stay_float(cli, quant, tmp_path):
    """At 3 bits an untrained network decides otherwise for some of the images."""
    path = quant(name="qat", skip="auto", max_drop=0.15, weight_bits=3, activation_bits=3)
    trained = cli("train", "-c", path, "-o", "Global.epochs=0")
    assert trained.status == 0, trained.err
    assert "ppcls_slim: skip auto: top-1 float " in trained.out
    found = json.loads((tmp_path / "output/quant_sensitivity.json").read_text())
    floats = sidecar(output_prefix(tmp_path / "output", "best_model"))["quant"]["floats"]
    assert floats == dict.fromkeys(found["chosen"], "Slim.quant.skip: auto, max_drop 0.15")
    if found["chosen"]:
        assert (tmp_path / "output/quant_sensitivity.png").exists()
        assert found["top1"][str(len(found["chosen"]))] >= found["float_top1"] - 0.15

    refused = cli("train", "-c", path, "-o", "Global.eval_during_train=False")
    assert refused.status == 2
    assert "Slim.quant.skip: auto measures accuracy, and there is no evaluation data" in refused.message


def test_prune_and_quantize_in_one_run_and_in_two(cli, quant, small, tmp_path):
    prune = {"name": "fpgm", "pruned_ratio": 0.5}
    path = quant(prune=prune, pact={"form": "one_sided"})
    assert cli("train", "-c", path).status == 0
    one = sidecar(output_prefix(tmp_path / "output", "latest"))
    assert "one_sided" in one["quant"]["layers"].values()
    assert one["prune"]["flops"]["pruned"] < one["prune"]["flops"]["dense"]
    first = ("-o", "Slim.quant=False", "-o", f"Global.output_dir={tmp_path / 'first'}")
    assert cli("train", "-c", path, *first).status == 0
    pruned = output_prefix(tmp_path / "first", "latest")
    assert "quant" not in sidecar(pruned)
    second = ("-o", f"Global.pretrained_model={pruned}", "-o", f"Global.output_dir={tmp_path / 'second'}")
    assert cli("train", "-c", path, *second).status == 0
    stem = output_prefix(tmp_path / "second", "latest")
    two = sidecar(stem)
    assert two["prune"] == sidecar(pruned)["prune"]
    assert two["quant"]["layers"].keys() == one["quant"]["layers"].keys()
    exported = cli("export", "-c", path, "-o", "Slim=None", "-o", f"Global.pretrained_model={stem}")
    assert exported.status == 0, exported.err


def test_resuming_ends_in_the_weights_of_a_training_that_never_stopped(cli, quant, tmp_path):
    path = quant()
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    still = ("-o", "Optimizer.lr.name=Constant")
    both = ("-o", "Global.epochs=2")
    assert cli("train", "-c", path, *both, *still, "-o", f"Global.output_dir={whole}").status == 0
    assert cli("train", "-c", path, *still, "-o", f"Global.output_dir={parts}").status == 0
    resumed = ("-o", f"Global.checkpoints={output_prefix(parts, 'latest')}", "-o", f"Global.output_dir={parts}")
    done = cli("train", "-c", path, *both, *still, *resumed)
    assert done.status == 0, done.err
    weights = [paddle.load(f"{output_prefix(folder, 'latest')}.pdparams") for folder in (whole, parts)]
    assert weights[0].keys() == weights[1].keys()
    for name in weights[0]:
        np.testing.assert_array_equal(weights[0][name].numpy(), weights[1][name].numpy(), err_msg=name)


def test_bad_input_gets_one_line(cli, quant, small, tmp_path):
    path = quant()
    assert "needs a quantized checkpoint" in cli("export", "-c", path).message
    assert cli("train", "-c", path, "-o", "Slim=None", "-o", f"Global.output_dir={tmp_path / 'f'}").status == 0
    dense = output_prefix(tmp_path / "f", "latest")
    assert "is float" in cli("eval", "-c", path, "-o", f"Global.pretrained_model={dense}").message
    assert "cannot resume" in cli("train", "-c", path, "-o", f"Global.checkpoints={dense}").message
    assert "AMP" in cli("train", "-c", path, "-o", "AMP.level=O1").message
    assert "matches no layer of Conv2D, Linear" in cli("train", "-c", quant(skip=["nothing*"])).message
    assert "nothing would be quantized" in cli("train", "-c", quant(skip=["*"])).message
    assert "nothing would be" in cli("train", "-c", quant(quantizable_layer_type=["Conv2DTranspose"])).message
    assert "cannot be imported" in cli("train", "-c", quant(act_quantize="no.such.Class")).message
    assert "is not a paddle.nn.Layer" in cli("train", "-c", quant(weight_quantize="json.JSONDecoder")).message


def test_other_bits_train_but_do_not_export_to_int8(cli, quant, tmp_path):
    path = quant(activation_bits=4)
    assert cli("train", "-c", path).status == 0
    stem = output_prefix(tmp_path / "output", "latest")
    refused = cli("export", "-c", path, "-o", f"Global.pretrained_model={stem}")
    assert refused.status == 2
    assert "activation_bits is 4" in refused.message
    assert not (tmp_path / "inference").exists()


def test_a_quantized_checkpoint_without_its_sidecar_is_not_loaded_as_float(cli, quant, tmp_path):
    path = quant()
    assert cli("train", "-c", path).status == 0
    stem = output_prefix(tmp_path / "output", "latest")
    stem.with_name("latest.slim.json").unlink()
    result = cli("eval", "-c", path, "-o", "Slim=None", "-o", f"Global.pretrained_model={stem}")
    assert "holds a quantized model" in result.message


def test_prune_fine_tune_and_quantize_in_one_run(cli, quant, tmp_path):
    path = quant(prune={"name": "fpgm", "pruned_ratio": 0.5}, epochs=2, learning_rate=0.0005)
    trained = cli("train", "-c", path)
    assert trained.status == 0, trained.err
    pruned = output_prefix(tmp_path / "output/float", "latest")
    assert "quant" not in sidecar(pruned)
    files = (tmp_path / "output").rglob("latest.pdparams")  # releases differ in a folder named after the model
    (quantized,) = (path.with_suffix("") for path in files if tmp_path / "output/float" not in path.parents)
    metadata = sidecar(quantized)
    assert metadata["prune"] == sidecar(pruned)["prune"]
    assert metadata["epoch"] == 2
    resumed = cli("train", "-c", path, "-o", f"Global.checkpoints={quantized}", "-o", "Slim.quant.epochs=3")
    assert resumed.status == 0, resumed.err
    assert "second stage" not in resumed.out
    assert sidecar(quantized)["epoch"] == 3


def test_zero_epochs_calibrate_only(cli, quant, tmp_path, monkeypatch):
    normalized = []
    observe = prepare.observe
    monkeypatch.setattr(
        prepare, "observe", lambda *a, **keys: normalized.append(keys["batch_statistics"]) or observe(*a, **keys)
    )
    path = quant(observer="mse", equalize=True, bias_correction=True)
    trained = cli("train", "-c", path, "-o", "Global.epochs=0")
    assert trained.status == 0, trained.err
    stem = output_prefix(tmp_path / "output", "best_model")
    assert sidecar(stem)["epoch"] == 0
    assert sidecar(stem)["quant"]["layers"]
    assert sidecar(stem)["quant"]["settings"]["observer"] == "mse"
    assert normalized == [False]  # in evaluation mode: nothing is trained afterwards
    exported = cli("export", "-c", path, "-o", f"Global.pretrained_model={stem}")
    assert exported.status == 0, exported.err
