"""The README's first command."""

from __future__ import annotations

import json
import re
import time

import numpy as np
import pytest

from conftest import DEFAULT, ROOT


def row(out, name):
    """The two numbers of a row of the table."""
    found = re.search(rf"\| {re.escape(name)} *\| *([0-9.]+) ?([kM]?)[A-Z%]? *\| *([0-9.]+) ?([kM]?)", out)
    scale = {"": 1, "k": 1e3, "M": 1e6}
    return float(found[1]) * scale[found[2]], float(found[3]) * scale[found[4]]


def test_the_quickstart_prunes_fine_tunes_and_compares(cli, tmp_path):
    quickstart = ROOT / "ppcls_configs/quickstart"
    result = cli(
        "train", "-c", quickstart / "digits_prune.yaml",
        "-o", f"Global.pretrained_model={quickstart / 'digits_dense'}", DEFAULT,
    )  # fmt: skip
    assert result.status == 0, result.err
    assert len((result.out + result.err).splitlines()) <= 60
    lines = re.findall(r"^epoch \d/8: loss [\d.]+, top-1 .*, ETA [\d:]+$", result.out, re.MULTILINE)
    assert len(lines) == 8
    assert result.out.count("| parameters ") == 1
    table = result.out[result.out.rindex("| top-1 (evaluation data)") :]
    dense, pruned = row(table, "top-1 (evaluation data)")
    assert dense == 99.44  # the shipped weights, on 360 test images
    assert pruned >= 97.0
    flops = row(table, "FLOPs (multiply-accumulates)")
    parameters = row(table, "parameters")
    assert flops[1] < 0.3 * flops[0]
    assert parameters[1] < 0.35 * parameters[0]
    assert (tmp_path / "inference/digits_prune/inference.yml").is_file()
    assert (quickstart / "digits_dense.pdparams").stat().st_size < 1_000_000


@pytest.mark.slow
def test_the_quickstart_for_three_engines_takes_less_than_three_minutes(cli, tmp_path):
    pytest.importorskip("openvino", reason="openvino is not installed: pip install 'ppcls_slim[openvino]'")
    quickstart = ROOT / "ppcls_configs/quickstart"
    start = time.monotonic()
    result = cli(
        "train", "-c", quickstart / "digits_prune_quant.yaml",
        "-o", f"Global.pretrained_model={quickstart / 'digits_dense'}",
        "-o", "Slim.deploy.targets=[paddle,onnx,openvino]",
    )  # fmt: skip
    assert result.status == 0, result.err
    assert time.monotonic() - start < 180
    place = tmp_path / "inference/digits_prune_quant"
    for folder, file in ((place, "inference.pdmodel"), (place / "onnx", "inference.onnx")):
        assert (folder / file).is_file()
    images = tmp_path / "dataset/digits/images"
    predictions = []
    for folder in (place, place / "onnx", place / "openvino"):
        done = cli("predict", "--model-dir", folder, "--images", images, "--topk", 1)
        assert done.status == 0, done.err
        predictions.append(re.findall(r"class id\(s\): \[(\d+)\]", done.out))
    paddle, *others = predictions
    assert len(paddle) > 300
    for other in others:
        assert sum(a == b for a, b in zip(paddle, other)) >= 0.985 * len(paddle)


@pytest.mark.slow
def test_the_quickstart_that_asks_for_twice_the_speed_gets_it_in_three_minutes(cli, tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed: pip install 'ppcls_slim[onnx]'")
    monkeypatch.setenv("PPCLS_SLIM_CACHE", str(tmp_path / "cache"))
    quickstart = ROOT / "ppcls_configs/quickstart"
    weights = f"Global.pretrained_model={quickstart / 'digits_dense'}"
    start = time.monotonic()
    result = cli("train", "-c", quickstart / "digits_speedup.yaml", "-o", weights)
    assert result.status == 0, result.err
    assert time.monotonic() - start < 180
    dense, pruned = row(result.out[result.out.rindex("| top-1 (evaluation data)") :], "top-1 (evaluation data)")
    assert dense == 99.44
    assert pruned >= 95.0
    targets = "Slim.deploy.targets=[onnx]"
    result = cli("export", "-c", quickstart / "digits_dense.yaml", "-o", weights, "-o", targets)
    assert result.status == 0, result.err

    from ppcls_slim.deploy.latency.clock import milliseconds
    from ppcls_slim.deploy.target import find_target

    names = ("digits_dense", "digits_speedup")
    folders = [tmp_path / "inference" / name / "onnx" for name in names]
    runs = [find_target("onnx").load(folder) for folder in folders]
    image = np.zeros([1, 3, 32, 32], dtype=np.float32)
    before, after = milliseconds([lambda run=run: run(image) for run in runs], 100, threads=1)
    assert before >= 1.9 * after
    by_weights = ("-o", "Slim.prune.name=l1_norm")  # a dry run has no training batches
    planned = cli("plan", "-c", quickstart / "digits_speedup.yaml", "-o", weights, *by_weights, "--json", "plan.json")
    assert planned.status == 0, planned.err
    latency = json.loads((tmp_path / "plan.json").read_text())["latency"]
    assert latency["dense"] >= 1.9 * latency["measured"]
    layers = latency["layers"].values()  # milliseconds, dense and pruned; which are pruned is the plan's to say
    assert all(dense >= pruned > 0.0 for dense, pruned in layers)
    assert sum(dense for dense, _ in layers) > 1.5 * sum(pruned for _, pruned in layers)
