"""Backbones of one's own, through a function and through an entry point."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
import yaml

from conftest import output_prefix
from ppcls_slim import register_backbone
from ppcls_slim.common import backbones
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.engine.build import build_dense

pytestmark = pytest.mark.paddle26

PACKAGE = """
import paddle


class TinyNet(paddle.nn.Layer):
    def __init__(self, class_num=10, width=16):
        super().__init__()
        self.features = paddle.nn.Sequential(
            paddle.nn.Conv2D(3, width, 3, stride=2, bias_attr=False), paddle.nn.BatchNorm2D(width), paddle.nn.ReLU(),
            paddle.nn.Conv2D(width, width, 3, stride=2, bias_attr=False), paddle.nn.BatchNorm2D(width),
            paddle.nn.ReLU(), paddle.nn.AdaptiveAvgPool2D(1), paddle.nn.Flatten(),
        )
        self.head = paddle.nn.Linear(width, class_num)

    def forward(self, x):
        return self.head(self.features(x))
"""


@pytest.fixture(autouse=True)
def forget():
    """What a test registers is forgotten."""
    import ppcls.arch

    from ppcls_slim.compat.paddleclas import registry

    before = dict(backbones.REGISTERED)
    yield
    backbones.REGISTERED.clear()
    backbones.REGISTERED.update(before)
    for name in list(registry._ADDED):
        delattr(ppcls.arch, name)
    registry._ADDED.clear()


def installed(folder, monkeypatch, value="my_models:TinyNet"):
    """A package with an entry point, as pip leaves it."""
    (folder / "my_models.py").write_text(PACKAGE)
    info = folder / "my_models-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my_models\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[ppcls_slim.backbones]\nMyTinyNet = {value}\n")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "my_models", raising=False)


@pytest.fixture
def own(small):
    """The small configuration, with ``Arch.name`` of an entry point."""
    config = yaml.safe_load(small.read_text())
    config["Arch"] = {"name": "MyTinyNet", "class_num": 10, "width": 24}
    small.write_text(yaml.safe_dump(config))
    return small


def test_a_backbone_of_an_entry_point_is_planned_trained_and_exported(cli, own, tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    installed(folder, monkeypatch)
    assert cli("plan", "-c", own, "--json", tmp_path / "plan.json").status == 0
    assert json.loads((tmp_path / "plan.json").read_text())["groups"]
    result = cli("train", "-c", own)
    assert result.status == 0, result.err
    prefix = output_prefix(tmp_path / "output", "latest")
    exported = cli("export", "-c", own, "-o", f"Global.pretrained_model={prefix}")
    assert exported.status == 0, exported.err


def test_a_misspelt_name_gets_the_nearest_of_ones_own(cli, own, tmp_path, monkeypatch):
    folder = tmp_path / "site"
    folder.mkdir()
    installed(folder, monkeypatch)
    message = cli("plan", "-c", own, "-o", "Arch.name=MyTinyNett").message
    assert "did you mean 'MyTinyNet'" in message


@pytest.mark.parametrize("value", ["my_models:Nothing", "no_such_module:Net"])
def test_an_entry_point_that_cannot_be_loaded(cli, own, tmp_path, monkeypatch, value):
    folder = tmp_path / "site"
    folder.mkdir()
    installed(folder, monkeypatch, value)
    message = cli("plan", "-c", own).message
    assert "ppcls_slim.backbones:MyTinyNet" in message and value in message


def model(name):
    return build_dense({"Arch": {"name": name, "class_num": 3}, "Global": {"device": "cpu"}}, "train")


def test_registered_as_a_decorator():
    @register_backbone
    def one_layer(class_num):
        return paddle.nn.Linear(4, class_num)

    assert isinstance(model("one_layer"), paddle.nn.Linear)
    assert one_layer(3).weight.shape == [4, 3]


def test_registered_under_another_name_and_again():
    def one_layer(class_num):
        return paddle.nn.Linear(4, class_num)

    assert register_backbone(name="Another")(one_layer) is one_layer
    register_backbone(one_layer, name="Another")
    assert isinstance(model("Another"), paddle.nn.Linear)


def test_names_that_are_taken_are_refused():
    register_backbone(paddle.nn.Linear, name="Mine")
    with pytest.raises(SlimError, match=r"'Mine' is .* already"):
        register_backbone(paddle.nn.Conv2D, name="Mine")
    register_backbone(paddle.nn.Linear, name="ResNet18")
    with pytest.raises(SlimError, match="PaddleClas has a 'ResNet18' of its own"):
        model("ResNet18")


def test_what_gives_no_layer_is_refused():
    register_backbone(lambda class_num: class_num, name="Number")
    with pytest.raises(SlimError, match=r"Arch\.name: Number gives a int, not a paddle\.nn\.Layer"):
        model("Number")
    with pytest.raises(SlimError, match="is not a class or function"):
        register_backbone(3)


def test_the_backbone_of_a_recognition_model():
    @register_backbone
    def flat(**_):
        return paddle.nn.Flatten()

    arch = {"name": "RecModel", "Backbone": {"name": "flat"}}
    assert isinstance(build_dense({"Arch": arch, "Global": {"device": "cpu"}}, "train").backbone, paddle.nn.Flatten)


def test_registering_needs_no_paddle():
    program = "import ppcls_slim, sys; ppcls_slim.register_backbone(dict); assert 'paddle' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
