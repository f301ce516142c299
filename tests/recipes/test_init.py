"""``ppcls-slim init``."""

from __future__ import annotations

import pytest
import yaml

from conftest import ROOT
from ppcls_slim.common.yaml_file import parse_yaml, read_yaml
from ppcls_slim.config.section import read_section
from ppcls_slim.recipes.table import GOALS

QUICKSTART = ROOT / "ppcls_configs/quickstart"


@pytest.fixture
def dense(tmp_path):
    """A configuration with comments and without a section."""
    path = tmp_path / "mine.yaml"
    path.write_bytes((QUICKSTART / "digits_dense.yaml").read_bytes())
    return path


@pytest.mark.parametrize("goal", GOALS)
@pytest.mark.parametrize("backbone", ["ResNet50_vd", "MobileNetV3_small_x1_0", "DeiT_tiny_patch16_224", "MyNet"])
def test_a_valid_section_is_added_and_nothing_else_changes(cli, dense, goal, backbone):
    dense.write_text(dense.read_text().replace("CifarResNet8", backbone))
    result = cli("init", "-c", dense, "--goal", goal)
    assert result.status == 0, result.err
    written = (dense.parent / f"mine_{goal}.yaml").read_text()
    assert written.startswith(dense.read_text().rstrip())
    slim = read_section(parse_yaml(written, "written"))
    assert slim.quant.learning_rate == pytest.approx(0.005)  # a tenth of 0.05
    assert (slim.prune is None) == (goal == "accurate" or backbone.startswith("DeiT"))
    assert f"ppcls-slim doctor -c {dense.parent / f'mine_{goal}.yaml'}" in result.out


def test_what_was_measured_is_said_with_its_source(cli, dense):
    dense.write_text(dense.read_text().replace("CifarResNet8", "MobileNetV2"))
    out = cli("init", "-c", dense, "--engine", "openvino").out
    assert "pruned 2.06 times as fast as dense" in out
    assert "docs/coverage/speedup.csv, docs/coverage/engines.csv" in out
    dense.write_text(dense.read_text().replace("MobileNetV2", "MyNet"))
    assert "latency and accuracy were not measured" in cli("init", "-c", dense, "--goal", "small").out


def test_engines_get_what_they_need(cli, dense):
    def written(engine, goal="fast"):
        path = dense.parent / f"{engine}_{goal}.yaml"
        result = cli("init", "-c", dense, "--engine", engine, "--goal", goal, "--output", path)
        return read_section(read_yaml(path)) if result.status == 0 else result.message

    tensorrt = written("tensorrt")
    assert (tensorrt.quant.pact.form, tensorrt.prune.align, tensorrt.deploy.targets) == ("two_sided", 8, ["onnx"])
    assert written("onnx-gpu").quant is None
    assert written("paddle").deploy.targets == ["paddle"]
    assert written("onnx").prune.speedup == 2.0
    assert "--engine onnx-gpu has no int8, and cifar_resnet --goal accurate only" in written("onnx-gpu", "accurate")


def test_nothing_is_overwritten(cli, dense):
    assert cli("init", "-c", dense).status == 0
    before = (dense.parent / "mine_fast.yaml").read_bytes()
    result = cli("init", "-c", dense)
    assert "mine_fast.yaml exists already" in result.message
    assert (dense.parent / "mine_fast.yaml").read_bytes() == before
    assert "there is no folder" in cli("init", "-c", dense, "--output", dense.parent / "no/mine.yaml").message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            lambda text: text.replace("Arch:", "Arc:"),
            [".yaml: ", "the section Arch is missing", "instead there is 'Arc'"],
        ),
        (lambda text: text + "Slim:\n  prune: {pruned_ratio: 0.3}\n", ["has a Slim section already"]),
        (lambda text: text + "Slin: {}\n", ["unknown section 'Slin'"]),
        (lambda text: text + "...\n", ["a section cannot be added behind its last line"]),
        (lambda text: "", ["is empty"]),
    ],
    ids=["without Arch", "with a section", "with a misspelt section", "with an end", "empty"],
)
def test_what_cannot_be_written_is_one_line(cli, dense, change, words):
    dense.write_text(change(dense.read_text()))
    result = cli("init", "-c", dense)
    assert result.status == 2
    assert all(word in result.message for word in words), result.message
    assert [path.name for path in dense.parent.iterdir()] == ["mine.yaml"]


def test_line_ends_and_numbers_as_text_are_kept(cli, dense):
    text = dense.read_text().replace("learning_rate: 0.05", "learning_rate: 5e-2").replace("\n", "\r\n")
    dense.write_bytes(text.encode())
    assert cli("init", "-c", dense).status == 0
    written = (dense.parent / "mine_fast.yaml").read_bytes().decode()
    assert written.startswith(text.rstrip())
    assert "\n" not in written.replace("\r\n", "")
    assert read_section(parse_yaml(written, "written")).quant.learning_rate == pytest.approx(0.005)


@pytest.mark.parametrize(("written", "rate"), [("1e-4", 1e-5), ("2.5e-4", 2.5e-5), ("0.65", 0.065), ("1", 0.1)])
def test_a_tenth_of_any_rate_is_read_as_a_number(cli, dense, written, rate):
    dense.write_text(dense.read_text().replace("learning_rate: 0.05", f"learning_rate: {written}"))
    assert cli("init", "-c", dense).status == 0
    assert read_section(read_yaml(dense.parent / "mine_fast.yaml")).quant.learning_rate == pytest.approx(rate)


def test_the_student_of_a_distillation_and_the_backbone_of_a_recognition_model_are_found():
    from ppcls_slim.recipes.start import backbone_of

    student = {"models": [{"Teacher": {"name": "ResNet34"}}, {"Student": {"name": "ResNet18"}}]}
    assert backbone_of({"name": "DistillationModel", "infer_model_name": "Student", **student}) == "ResNet18"
    assert backbone_of({"name": "RecModel", "Backbone": {"name": "PPLCNet_x2_5"}}) == "PPLCNet_x2_5"


def test_the_quickstart_is_copied_with_paths_that_are_right(cli, tmp_path):
    result = cli("init", "--quickstart", "my/start")
    assert result.status == 0, result.err
    copied = {path.name for path in (tmp_path / "my/start").iterdir()}
    assert copied == {path.name for path in QUICKSTART.iterdir()}
    text = (tmp_path / "my/start/digits_prune.yaml").read_text()
    assert "ppcls-slim train -c my/start/digits_prune.yaml" in text
    assert yaml.safe_load(text)["Global"]["pretrained_model"] == "my/start/digits_dense"
    assert "is not empty" in cli("init", "--quickstart", "my/start").message
    assert cli("init", "--quickstart").out.startswith("quickstart: ")


def test_a_plan_of_what_is_only_quantized_says_so(cli, dense):
    assert cli("init", "-c", dense, "--goal", "accurate", "--engine", "paddle").status == 0
    result = cli("plan", "-c", dense.parent / "mine_accurate.yaml")
    assert result.status == 0, result.err
    assert "nothing is pruned" in result.out
