"""Nothing that a configuration or an ``inference.yml`` says is executed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import yaml

from ppcls_slim.common.errors import SlimError
from ppcls_slim.common.numbers import parse_number
from ppcls_slim.compat.paddleclas.engine import load_engine
from ppcls_slim.compat.paddleclas.faults import evaluated_text
from ppcls_slim.compat.paddleclas.operators import make_operators

pytestmark = pytest.mark.paddle26

ENGINE = load_engine()
ENGINE.init_logger()  # parts of PaddleClas log, and fail without


@pytest.fixture
def marker(tmp_path):
    return tmp_path / "marker"


@pytest.fixture
def code(marker):
    """Python that leaves a file."""
    return f"__import__('pathlib').Path({str(marker)!r}).touch()"


def scale(code):
    make_operators([{"NormalizeImage": {"scale": code}}], "transform_ops")


def erasing(code):
    make_operators([{"RandomErasing": {"EPSILON": "0.5", "sl": code}}], "transform_ops")


def loss(code):
    from ppcls.loss import build_loss

    build_loss([{code: {"weight": 1.0}}])


def metric(code):
    from ppcls.metric import build_metrics

    build_metrics([{code: {"topk": [1]}}])


def dataset(code):
    from ppcls.data import build_dataloader

    build_dataloader({"Train": {"dataset": {"name": code}}}, "Train", "cpu")


def backbone(code):
    ENGINE.build_model({"Arch": {"name": "RecModel", "Backbone": {"name": code}}, "Global": {"device": "cpu"}})


def layer(code):
    ENGINE.build_model({"Arch": {"name": "ViT_small_patch16_224", "norm_layer": code}, "Global": {"device": "cpu"}})


@pytest.mark.parametrize("use", [scale, erasing, loss, metric, dataset, backbone, layer])
def test_code_is_not_executed(use, code, marker):
    with pytest.raises(SlimError):
        use(code)
    assert not marker.exists()


def test_functions_of_other_packages_cannot_be_named(marker):
    from ppcls.data import build_dataloader

    config = {"Train": {"dataset": {"name": "inspect.os.system", "command": f"touch {marker}"}}}
    with pytest.raises(SlimError, match=r"'inspect\.os\.system' is not a name that ppcls\.data knows"):
        build_dataloader(config, "Train", "cpu")
    assert not marker.exists()


def test_a_misspelt_name_gets_the_nearest():
    with pytest.raises(SlimError, match=r"did you mean 'CELoss'"):
        loss("CELos")


def test_what_paddleclas_writes_works():
    import ppcls.arch
    from ppcls.data.preprocess.ops import operators

    assert evaluated_text.look_up("1.0/255.0", operators) == 1 / 255
    assert evaluated_text.look_up("[0.0, 0.5]", operators) == [0.0, 0.5]
    assert evaluated_text.look_up("ResNet18", ppcls.arch) is ppcls.arch.ResNet18
    assert evaluated_text.look_up("nn.LayerNorm", ppcls.arch) is ppcls.arch.nn.LayerNorm
    normalize, erase = make_operators(
        [
            {"NormalizeImage": {"scale": "1.0/255.0", "mean": [0, 0, 0], "std": [1, 1, 1], "order": ""}},
            {"RandomErasing": {"EPSILON": 0.25, "sl": "0.02", "sh": "1.0/3.0", "r1": 0.3}},
        ],
        "transform_ops",
    )
    assert normalize(np.full([2, 2, 3], 255, dtype=np.uint8)) == pytest.approx(1.0)
    assert erase.sh == 1 / 3


@pytest.mark.parametrize(("text", "value"), [("0.5", 0.5), ("1", 1), ("1.0/255.0", 1 / 255), (" 1 / 4 ", 0.25)])
def test_numbers_and_fractions(text, value):
    assert parse_number(text, "scale") == value


@pytest.mark.parametrize("text", ["", "/", "1/0", "nan", "inf", "1e999", "1/2/3", "2*3", "x", "__import__('os')"])
def test_what_is_not_a_number(text):
    with pytest.raises(SlimError, match="scale is"):
        parse_number(text, "scale")


def test_training_with_code_for_a_scale(cli, small, tmp_path, code, marker):
    config = yaml.safe_load(small.read_text())
    train = copy.deepcopy(config)
    ops = train["DataLoader"]["Train"]["dataset"]["transform_ops"]
    next(op for op in ops if "NormalizeImage" in op)["NormalizeImage"]["scale"] = code
    small.write_text(yaml.safe_dump(train))
    result = cli("train", "-c", small)
    assert result.status == 2
    assert "fraction such as 1.0/255.0" in result.message
    assert not marker.exists()


@pytest.mark.parametrize("key", ["NormalizeImage", "RandomErasing"])
def test_predict_with_code_in_a_foreign_inference_yml(cli, tmp_path, digits, code, marker, key):
    arguments = {"NormalizeImage": {"scale": code}, "RandomErasing": {"EPSILON": code}}[key]
    content = {"PreProcess": {"transform_ops": [{key: arguments}]}, "PostProcess": {"Topk": {"topk": 1}}}
    (tmp_path / "inference.yml").write_text(yaml.safe_dump(content))
    result = cli("predict", "--model-dir", tmp_path, "--images", digits)
    assert result.status == 2
    assert "PreProcess.transform_ops.0" in result.message
    assert not marker.exists()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", ["is empty"]),
        ("[1]", ["holds a list"]),
        ("PostProcess: {}", ["PreProcess", "required"]),
        ("PreProcess: {transform_ops: 3}\nPostProcess: {}", ["PreProcess.transform_ops is 3"]),
        ("PreProcess: {transform_ops: [3]}\nPostProcess: {}", ["PreProcess.transform_ops.0 is 3"]),
        ("PreProcess: {transform_ops: [{Resise: {}}]}\nPostProcess: {}", ["PreProcess.transform_ops.0", "Resise"]),
        ("PreProcess: {transform_ops: [{ResizeImage: {a: 1}}]}\nPostProcess: {}", ["transform_ops.0", "'a'"]),
        ("PreProcess: {transform_ops: []}\nPostProcess: {Topk: {topk: x}}", ["PostProcess.Topk.topk is 'x'"]),
    ],
)
def test_an_inference_yml_that_cannot_be_used(cli, tmp_path, digits, content, words):
    (tmp_path / "inference.yml").write_text(content)
    result = cli("predict", "--model-dir", tmp_path, "--images", digits)
    assert result.status == 2
    for word in ("inference.yml", *words):
        assert word in result.message
