"""``ppcls-slim doctor`` says before training what goes wrong or gains nothing, and trains nothing."""

from __future__ import annotations

import re

import pytest
import yaml

from ppcls_slim.common.locks import run_lock
from ppcls_slim.compat import known_good
from ppcls_slim.recipes.doctor import cpu, gains, machine

QUANT = {"quant": {"name": "pact", "calibration_batches": 2}}


@pytest.fixture
def doctor(cli, small):
    """Change the small configuration with overrides; gives (exit status, {(mark, what): text})."""

    def look(*overrides: str, slim=None):
        if slim is not None:
            small.write_text(yaml.safe_dump({**yaml.safe_load(small.read_text()), "Slim": slim}))
        result = cli("doctor", "-c", small, *(word for one in overrides for word in ("-o", one)))
        lines = re.findall(r"^\[(ok|warning|error)\] +(\S+(?: \S+)?) {2,}(.+)$|", result.out, re.MULTILINE)
        found: dict[tuple[str, str], str] = {}
        for mark, what, text in lines:
            found[mark, what] = f"{found.get((mark, what), '')}{text}\n"
        return result.status, found

    return look


def errors(found):
    return {what for mark, what in found if mark == "error"}


@pytest.mark.paddle26
def test_a_configuration_that_trains_has_no_error(doctor, tmp_path):
    status, found = doctor()
    assert (status, errors(found)) == (0, set())
    assert "random weights" in found["warning", "weights"]
    assert "64 images, labels 0 to 9" in found["ok", "Train data"]
    assert {path.name for path in tmp_path.iterdir()} == {"small.yaml"}  # nothing was trained or written


def test_everything_that_is_missing_is_said_at_once(doctor):
    status, found = doctor(
        "DataLoader.Train.dataset.image_root=gone", "DataLoader.Eval.dataset.cls_label_path=no.txt",
        "Global.pretrained_model=no/weights", "Slim.deploy={targets: [paddle]}",
    )  # fmt: skip
    assert status == 1
    assert found["error", "data"].splitlines() == [
        "DataLoader.Train.dataset.image_root: gone does not exist; give the right path with -o "
        "DataLoader.Train.dataset.image_root=...",
        "DataLoader.Eval.dataset.cls_label_path: no.txt does not exist; give the right path with -o "
        "DataLoader.Eval.dataset.cls_label_path=...",
    ]
    assert "Global.pretrained_model" in found["error", "weights"]


def test_a_mistake_in_the_section_is_a_line_of_the_table(doctor):
    status, found = doctor(slim={"prune": {"name": "fpgn", "pruned_ratio": 0.3}})
    assert status == 1
    assert "did you mean 'fpgm'" in found["error", "configuration"]


@pytest.mark.parametrize(
    ("lines", "what", "words"),
    [
        ("", "Train data", "is empty"),
        ("a.png 0\n", "Train data", "which is not there: is image_root right?"),
        ("few_train.txt 0\n", "Train data", "cannot be read as an image"),
        ("images/test/0021_1.png\n", "Train data", "is not 'path label'"),
        ("images/test/0021_1.png 12\n", "classes", "set -o Arch.class_num=13"),
    ],
    ids=["empty", "missing", "not an image", "no label", "label too large"],
)
def test_the_list_of_images_is_read(doctor, digits, tmp_path, lines, what, words):
    (tmp_path / "list.txt").write_text(lines)
    status, found = doctor(f"DataLoader.Train.dataset.cls_label_path={tmp_path / 'list.txt'}")
    assert status == 1
    assert words in found["error", what]


def test_classes_and_batches_are_held_against_the_data(doctor):
    status, found = doctor("Arch.class_num=1000", "DataLoader.Train.sampler.batch_size=100")
    assert status == 1  # 64 images, drop_last
    assert "64 images with drop_last: no step" in found["error", "batches"]
    assert "is -o Arch.class_num=10 meant?" in found["warning", "classes"]
    _, found = doctor("DataLoader.Train.sampler.batch_size=32", slim={"quant": {"name": "pact"}})
    assert "Slim.quant.calibration_batches is 8" in found["warning", "batches"]


def test_switches_that_do_nothing_here(doctor):
    _, found = doctor("Arch.use_sync_bn=True", "Global.epochs=0")
    assert "built without synchronization" in found["warning", "use_sync_bn"]
    assert "not fine-tuned" in found["warning", "epochs"]


def test_the_learning_rate_is_the_one_that_training_uses(doctor):
    high = ("Optimizer.lr.learning_rate=0.5", "Arch.pretrained=True")
    _, found = doctor(*high, slim=QUANT)
    assert "0.05 is much for training with quantization" in found["warning", "learning rate"]
    _, found = doctor("Optimizer.lr.learning_rate=0.05", "Arch.pretrained=True")
    assert "the learning rate is 0.005, a tenth" in found["ok", "learning rate"]
    _, found = doctor("Optimizer.lr.warmup_epoch=20", slim={"prune": {"name": "fpgm", "pruned_ratio": 0.5}})
    assert "never comes down" in found["warning", "learning rate"]


def test_steps_need_epochs(doctor):
    status, found = doctor(slim={"prune": {"pruned_ratio": 0.5, "steps": 99}})
    assert status == 1
    assert "99 steps are trained for an epoch or more each" in found["error", "configuration"]


def test_an_empty_image_is_an_error_of_its_own(doctor, tmp_path):
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "list.txt").write_text(f"{tmp_path / 'empty.png'} 0\n")
    _, found = doctor(f"DataLoader.Train.dataset.cls_label_path={tmp_path / 'list.txt'}")
    assert "empty.png cannot be read as an image" in found["error", "Train data"]


def test_the_output_folder_is_looked_at(doctor, tmp_path):
    output = tmp_path / "output"
    with run_lock(output, "Global.output_dir"):
        pass
    assert ("ok", "output") in doctor(f"Global.output_dir={output}")[1]
    (output / "latest.pdparams").write_bytes(b"")
    assert "--resume auto" in doctor(f"Global.output_dir={output}")[1]["warning", "output"]
    (tmp_path / "file").write_bytes(b"")
    assert "cannot be written" in doctor(f"Global.output_dir={tmp_path / 'file'}")[1]["error", "output"]


def test_a_folder_in_use_and_a_full_disk_are_errors(doctor, monkeypatch):
    monkeypatch.setattr(machine, "held_by", lambda folder: "another training (process 1)")
    monkeypatch.setattr(machine.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    status, found = doctor()
    assert (status, errors(found)) == (1, {"output", "disk"})
    assert "is in use by another training (process 1)" in found["error", "output"]


def test_engines_and_what_int8_gains_on_them(doctor, monkeypatch):
    monkeypatch.setattr(gains, "is_installed", lambda package: package != "openvino")
    small_v3 = "Arch.name=MobileNetV3_small_x0_35"
    status, found = doctor(small_v3, slim={**QUANT, "deploy": {"targets": ["paddle", "openvino"]}})
    assert status == 1
    assert "OpenVINO needs openvino: pip install 'ppcls_slim[openvino]'" in found["error", "engine"]
    assert "gains little: 1.17 times as fast as FP32 in Paddle Inference" in found["warning", "int8"]
    assert "try OpenVINO (1.38 times)" in found["warning", "int8"]


def test_pruning_what_cannot_be_pruned(doctor):
    _, found = doctor("Arch.name=SwinTransformer_tiny_patch4_window7_224", "Global.image_shape=[3, 224, 224]")
    assert "cannot be pruned: remove Slim.prune" in found["error", "pruning"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("flags\t: fpu avx2", (None, None)),
        ("flags\t: avx512_vnni avx512_bf16", ("AVX512-VNNI", "AVX512-BF16")),
        ("flags\t: amx_int8 amx_bf16 avx512_vnni", ("AMX", "AMX BF16")),
        ("Features\t: asimd asimddp bf16", ("dot product", "BF16")),
    ],
)
def test_the_instructions_of_the_cpu(tmp_path, monkeypatch, flags, expected):
    monkeypatch.setattr(cpu, "CPUINFO", tmp_path / "cpuinfo")
    assert cpu.instructions() is None
    (tmp_path / "cpuinfo").write_text(f"processor\t: 0\n{flags}\n")
    found = cpu.instructions()
    assert (found.int8, found.bf16) == expected


def test_a_cpu_without_vnni_and_versions_that_are_not_tested(doctor, monkeypatch):
    monkeypatch.setattr(gains, "instructions", lambda: cpu.Instructions(None, None))
    monkeypatch.setattr(known_good, "paddleslim_version", lambda: "none")
    monkeypatch.setattr(known_good, "ppcls_version", lambda: "2.4.0")
    _, found = doctor(slim=QUANT)
    assert "this CPU has no VNNI or AMX" in found["warning", "CPU"]
    assert "PaddleSlim is not installed; only benchmarks need it" in found["warning", "version"]
    assert "PaddleClas 2.4.0 is not tested; 2.4.2 and source are" in found["warning", "version"]
