"""The Python lines of docs/deploy/ run as they stand, and give the predictions of ``predict``."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys

import pytest

from conftest import ROOT

for module, extra in (("onnx", "onnx"), ("paddle2onnx", "onnx"), ("openvino", "openvino")):
    pytest.importorskip(module, reason=f"{module} is not installed: pip install 'ppcls_slim[{extra}]'")


@pytest.fixture(scope="module")
def place(tmp_path_factory, digits):
    """The quickstart's dense model in ``inference``, and ``image.png``; and the class that ``predict`` finds."""
    from ppcls_slim.cli import main

    folder = tmp_path_factory.mktemp("pages")
    dense = ROOT / "ppcls_configs/quickstart/digits_dense"
    exported = folder / "inference"
    overrides = [f"Global.pretrained_model={dense}", f"Global.save_inference_dir={exported}"]
    overrides += [f"DataLoader.Eval.dataset.image_root={digits}", "Slim.deploy.targets=[paddle,onnx,openvino]"]
    assert main(["export", "-c", f"{dense}.yaml", "-o", *overrides]) == 0
    image = sorted((digits / "images/test").rglob("*.png"))[7]
    shutil.copyfile(image, folder / "image.png")
    told = folder / "told.json"
    assert main(["predict", "--model-dir", str(exported), "--images", str(image), "--json", str(told)]) == 0
    return folder, json.loads(told.read_text())[0]["class_ids"][0]


def run_page(name, folder):
    """Run the first Python block of a page in a folder; return what it prints last."""
    text = (ROOT / f"docs/deploy/{name}.md").read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL).group(1)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


@pytest.mark.parametrize("name", ["paddle", "onnx", "openvino"])
def test_the_python_lines_of_a_page_predict_the_same(place, name):
    folder, expected = place
    assert run_page(name, folder) == str(expected)


@pytest.mark.slow
def test_the_lines_for_ncnn_predict_the_same(place):
    if not all(map(importlib.util.find_spec, ("ncnn", "pnnx"))):  # importing pnnx would import PyTorch
        pytest.skip("ncnn is not installed: pip install ncnn && pip install --no-deps pnnx")
    folder, expected = place
    text = (ROOT / "docs/deploy/ncnn.md").read_text(encoding="utf-8")
    lines = re.search(r"```bash\n(.*?)```", text, re.DOTALL).group(1).splitlines()[1:]  # without what installs
    script = "\n".join(lines).replace("python -c", f"{sys.executable} -c")
    done = subprocess.run(["bash", "-ec", script], cwd=folder, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    assert run_page("ncnn", folder) == str(expected)
