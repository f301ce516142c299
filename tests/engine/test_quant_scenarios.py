"""Quantization of networks that are built differently, with classes of the user's, and what stops it."""

from __future__ import annotations

import copy
import json
import re

import pytest
import yaml

from conftest import RECOGNITION, output_prefix
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26

HOOKS = '''
import paddle

class Halved(paddle.nn.Layer):
    """A preprocess with a parameter that is trained."""

    def __init__(self):
        super().__init__()
        self.limit = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(4.0))

    def forward(self, x):
        return paddle.minimum(paddle.maximum(x, -self.limit), self.limit)

class Rounded(paddle.nn.Layer):
    """A quantizer: steps of 1/16, with the gradient passed straight through."""

    def forward(self, x):
        with paddle.no_grad():
            change = paddle.round(x * 16) / 16 - x
        return x + change

class Needy(paddle.nn.Layer):
    def __init__(self, bits):
        super().__init__()
'''


@pytest.fixture
def quant(small):
    """Set sections of the small configuration and quantize."""

    def configure(sections=(), **keys):
        config = yaml.safe_load(small.read_text())
        config["Slim"] = {"quant": {"name": "pact", "calibration_batches": 2, **keys}}
        config["Optimizer"]["lr"]["learning_rate"] = 0.001
        config.update(sections)
        small.write_text(yaml.safe_dump(config))
        return small

    return configure


def quantized(cli, config, tmp_path):
    """Train; return the override that names the checkpoint."""
    trained = cli("train", "-c", config)
    assert trained.status == 0, trained.err
    return "-o", f"Global.pretrained_model={output_prefix(tmp_path / 'output', 'latest')}"


def exported(cli, config, checkpoint, tmp_path):
    """Evaluate, export and return what was found out about the files."""
    assert cli("eval", "-c", config, *checkpoint).status == 0
    result = cli("export", "-c", config, *checkpoint)
    assert result.status == 0, result.err
    return json.loads((tmp_path / "inference/inference.slim.json").read_text())


@pytest.mark.parametrize("arch", ["MobileNetV2_x0_25", "MobileNetV3_small_x0_35"])
def test_backbones_to_a_prediction_in_int8(cli, quant, tmp_path, digits, arch):
    """MobileNetV2 is no TheseusLayer: PaddleClas ignores the section. MobileNetV3 has squeeze-and-excitation."""
    path = quant({"Arch": {"name": arch, "class_num": 10}})
    checkpoint = quantized(cli, path, tmp_path)
    metadata = exported(cli, path, checkpoint, tmp_path)
    assert metadata["quant"]["layers"]
    assert metadata["verified"]["runs"]["exported, plain"]["same_as_fake_quant"] >= 0.9
    done = cli("predict", "--model-dir", tmp_path / "inference", "--images", digits / "images/test")
    assert done.status == 0, done.err
    assert len(done.out.splitlines()) == 360
    assert "quantized" not in done.out + done.err  # the passes of oneDNN count what they quantize


def test_a_recognition_model_is_checked_by_its_features(cli, quant, small, tmp_path, digits):
    """As PaddleClas's vehicle and general recognition configurations: backbone, neck, head, retrieval."""
    before = yaml.safe_load(small.read_text())
    evaluation = before["DataLoader"]["Eval"]
    path = quant(
        {
            "Arch": copy.deepcopy(RECOGNITION),
            "Global": {**before["Global"], "eval_mode": "retrieval"},
            "DataLoader": {
                **before["DataLoader"],
                "Eval": {"Query": evaluation, "Gallery": copy.deepcopy(evaluation)},
            },
            "Metric": {"Eval": [{"Recallk": {"topk": [1, 5]}}]},
            "Infer": None,
        }
    )
    checkpoint = quantized(cli, path, tmp_path)
    verified = exported(cli, path, checkpoint, tmp_path)["verified"]
    assert verified["kind"] == "features"
    assert verified["samples"] == 32
    assert verified["runs"]["exported, plain"]["cosine"] >= 0.98
    assert 0 <= verified["runs"]["exported, int8"]["recall1"] <= 1
    done = cli("predict", "--model-dir", tmp_path / "inference", "--images", digits / "images/test/0021_1.png")
    assert "64 values" in done.out, done.err


def test_a_trained_checkpoint_predicts_without_export(cli, quant, tmp_path, digits):
    path = quant()
    checkpoint = quantized(cli, path, tmp_path)
    result = cli("infer", "-c", path, *checkpoint, "-o", "Slim=None", "-o", "Infer.batch_size=90")
    assert result.status == 0, result.err
    assert len(re.findall(r"'class_ids'", result.out)) == 360


def test_classes_of_the_users_run_where_their_hooks_are(cli, quant, tmp_path, monkeypatch):
    (tmp_path / "my_hooks.py").write_text(HOOKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    own = {"activation_preprocess_type": None, "act_preprocess": "my_hooks.Halved"}
    path = quant(**own, weight_preprocess="my_hooks.Halved")
    checkpoint = quantized(cli, path, tmp_path)
    weights = paddle.load(checkpoint[1].partition("=")[2] + ".pdparams")
    limits = [value.item() for name, value in weights.items() if name.endswith("_act_preprocess.limit")]
    assert len(limits) > 20  # one in each layer, and trained
    assert any(value != 4.0 for value in limits)
    # A checkpoint alone does not make anything be imported.
    refused = cli("eval", "-c", path, *checkpoint, "-o", "Slim=None")
    assert "to import it, set Slim.quant.weight_preprocess=my_hooks.Halved" in refused.message
    runs = exported(cli, path, checkpoint, tmp_path)["verified"]["runs"]
    assert runs["exported, plain"]["same_as_fake_quant"] >= 0.9


def test_quantizers_of_the_users_train_and_are_not_exported(cli, quant, tmp_path, monkeypatch):
    (tmp_path / "my_hooks.py").write_text(HOOKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    path = quant(weight_quantize="my_hooks.Rounded", act_quantize="my_hooks.Rounded")
    checkpoint = quantized(cli, path, tmp_path)
    assert cli("eval", "-c", path, *checkpoint).status == 0
    refused = cli("export", "-c", path, *checkpoint)
    assert "weight_quantize is a quantizer of your own" in refused.message
    assert not (tmp_path / "inference").exists()
    assert "without arguments" in cli("train", "-c", quant(act_quantize="my_hooks.Needy")).message


def test_averaged_weights(cli, quant, tmp_path):
    """PaddleClas's EMA section; the 2.4.2 wheel has none and would pass over it."""
    from ppcls_slim.compat.paddleclas.stand_ins import ppcls_engine

    path = quant({"EMA": {"decay": 0.9}})
    if not hasattr(ppcls_engine, "ExponentialMovingAverage"):
        refused = cli("train", "-c", path)
        assert refused.message.startswith("ppcls_slim: error: EMA: this PaddleClas keeps no moving average")
        return
    checkpoint = quantized(cli, path, tmp_path)
    stem = checkpoint[1].partition("=")[2]
    averaged, trained = paddle.load(f"{stem}.pdparams"), paddle.load(f"{stem}.pdema")
    alphas = [name for name in averaged if name.endswith(".alpha")]
    assert any(averaged[name].item() != trained[name].item() for name in alphas)
    runs = exported(cli, path, checkpoint, tmp_path)["verified"]["runs"]
    assert runs["exported, plain"]["same_as_fake_quant"] >= 0.9


def test_an_alpha_that_ran_away_stops_with_its_layer_and_loses_nothing(cli, quant, tmp_path):
    path = quant()
    checkpoint = quantized(cli, path, tmp_path)
    weights = output_prefix(tmp_path / "output", "latest").with_suffix(".pdparams")
    before = weights.read_bytes()
    stopped = cli("train", "-c", quant(pact={"weight_decay": 1e9}))
    assert stopped.status == 2
    assert re.search(r"PACT: alpha of conv\.conv ran to \S+, which clips everything", stopped.message)
    assert weights.read_bytes() == before
    assert cli("eval", "-c", path, *checkpoint, "-o", "Slim=None").status == 0


def test_files_that_this_paddle_cannot_read_back_are_not_moved_into_place(cli, quant, tmp_path, monkeypatch):
    from ppcls_slim.deploy import paddle_inference as runtime

    path = quant()
    checkpoint = quantized(cli, path, tmp_path)
    exported(cli, path, checkpoint, tmp_path)
    before = {file.name: file.read_bytes() for file in (tmp_path / "inference").iterdir()}
    found = runtime.files_of

    def cut(folder):
        program, parameters = found(folder)
        parameters.write_bytes(parameters.read_bytes()[:1000])
        return program, parameters

    monkeypatch.setattr(runtime, "files_of", cut)
    refused = cli("export", "-c", path, *checkpoint)
    assert refused.status == 2
    assert f"cannot be read by Paddle {paddle.__version__}" in refused.message
    assert {file.name: file.read_bytes() for file in (tmp_path / "inference").iterdir()} == before


def test_a_quantized_checkpoint_where_a_float_one_is_needed(cli, quant, tmp_path):
    path = quant()
    checkpoint = quantized(cli, path, tmp_path)
    prune = ("-o", "Slim.quant=False", "-o", "Slim.prune.name=fpgm", "-o", "Slim.prune.pruned_ratio=0.5")
    for command in ("plan", "train"):
        assert "is quantized already" in cli(command, "-c", path, *checkpoint, *prune).message
    output_prefix(tmp_path / "output", "latest").with_suffix(".slim.json").unlink()
    assert "holds a quantized model" in cli("plan", "-c", path, *checkpoint, *prune).message
