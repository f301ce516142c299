"""The float ONNX file in ncnn, an engine for phones, predicts what ONNX Runtime predicts."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from conftest import ROOT

pytestmark = pytest.mark.slow
for module, install in (
    ("onnx", "pip install 'ppcls_slim[onnx]'"),
    ("paddle2onnx", "pip install 'ppcls_slim[onnx]'"),
    ("ncnn", "pip install ncnn"),
    ("pnnx", "pip install --no-deps pnnx"),
):
    if importlib.util.find_spec(module) is None:  # importing pnnx would import PyTorch
        pytest.skip(f"{module} is not installed: {install}", allow_module_level=True)


@pytest.fixture(scope="module")
def float_file(tmp_path_factory, digits):
    """``inference.onnx`` of the quickstart's dense network, which was trained on digits."""
    from ppcls_slim.cli import main

    exported = tmp_path_factory.mktemp("ncnn") / "inference"
    dense = ROOT / "ppcls_configs/quickstart/digits_dense"
    overrides = [f"Global.pretrained_model={dense}", f"Global.save_inference_dir={exported}"]
    overrides += [f"DataLoader.Eval.dataset.image_root={digits}", "Slim.deploy.targets=[onnx]"]
    assert main(["export", "-c", f"{dense}.yaml", "-o", *overrides]) == 0
    return exported / "onnx/inference.onnx"


def test_ncnn_predicts_what_onnx_runtime_does(float_file):
    script = ROOT / "benchmarks/ncnn_predictions.py"
    command = [sys.executable, str(script), str(float_file), "--shape", "3", "32", "32"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    in_fp32, in_fp16 = done.stdout.split(":", 1)[1].split(";")
    assert in_fp32.strip().startswith("FP32") and "all predictions equal" in in_fp32
    assert in_fp16.strip().startswith("FP16")
