"""The road from a YAML to a prediction, through the tools' own command line."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import pytest
import yaml

from conftest import output_prefix
from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26


def set_key(path, **keys):
    """Change dotted keys of a YAML file in place (a double underscore stands for the dot)."""
    config = yaml.safe_load(path.read_text())
    for key, value in keys.items():
        *parents, last = key.split("__")
        section = config
        for parent in parents:
            section = section.setdefault(parent, {})
        if value is None and last in section:
            del section[last]
        else:
            section[last] = value
    path.write_text(yaml.safe_dump(config))


def shapes_of(stem):
    return {name: tuple(value.shape) for name, value in paddle.load(f"{stem}.pdparams").items()}


def top1_in(out):
    return float(re.findall(r"\[Eval\]\[Epoch 0\]\[Avg\].*top1: ([0-9.]+)", out)[-1])


def test_train_eval_export_predict(cli, small, tmp_path, digits):
    assert cli("train", "-c", small).status == 0
    stem = output_prefix(tmp_path / "output", "best_model")
    plan = json.loads(stem.with_name("best_model.slim.json").read_text())["prune"]
    assert plan["flops"]["pruned"] < 0.4 * plan["flops"]["dense"]
    shapes = shapes_of(stem)
    assert not [name for name in shapes if "backup" in name]
    assert shapes["conv.conv.weight"] == (4, 3, 3, 3)

    override = ("-o", f"Global.pretrained_model={stem}")
    evaluated = cli("eval", "-c", small, *override)
    assert evaluated.status == 0
    assert "following the plan of" in evaluated.out

    assert cli("infer", "-c", small, *override).status == 0

    exported = cli("export", "-c", small, *override)
    assert exported.status == 0
    assert "same top-1 on 100.0 %" in exported.out
    assert "evaluation data" in exported.out
    assert re.search(r"\| FLOPs .*\| +[0-9.]+ [kMG] \| +[0-9.]+ [kMG] \| +0\.[0-9]+ \|", exported.out)
    names = {path.name for path in (tmp_path / "inference").iterdir()}
    program = "inference.pdmodel" if paddle.__version__.startswith("2.") else "inference.json"
    assert {program, "inference.pdiparams", "inference.yml", "inference.slim.json"} <= names

    predicted = cli(
        "predict", "--model-dir", tmp_path / "inference", "--images", digits / "images/test", "--json", "out.json"
    )
    assert predicted.status == 0
    results = json.loads((tmp_path / "out.json").read_text())
    assert len(results) == 360
    assert results[0]["label_names"][0] in {
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
    }


def test_prediction_of_the_exported_model_is_that_of_the_trained_one(cli, small, tmp_path, digits):
    """Through files and preprocessing: infer and predict name the same classes for the same images."""
    set_key(small, Infer__PostProcess__topk=1)
    assert cli("train", "-c", small).status == 0
    override = ("-o", f"Global.pretrained_model={output_prefix(tmp_path / 'output', 'latest')}")
    infer = cli("infer", "-c", small, *override)
    trained = re.findall(r"'class_ids': \[(\d+)\].*?'file_name': '([^']+)'", infer.out.replace("\n", " "))
    assert cli("export", "-c", small, *override).status == 0
    predict = cli(
        "predict", "--model-dir", tmp_path / "inference", "--images", digits / "images/test", "--json", "p.json"
    )
    assert predict.status == 0
    exported = {r["file"]: r["class_ids"][0] for r in json.loads((tmp_path / "p.json").read_text())}
    assert len(trained) == 360
    assert {file: int(label) for label, file in trained} == exported


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"Slim": None}, "has no Slim.prune section"),
        ({"Slim__prune__pruned_ratio": 0.2}, "differs and is not used"),
        ({}, "says the same"),
    ],
)
def test_the_plan_of_the_checkpoint_is_followed_whatever_the_yaml_says(cli, small, tmp_path, change, says):
    assert cli("train", "-c", small).status == 0
    stem = output_prefix(tmp_path / "output", "latest")
    before = top1_in(cli("eval", "-c", small, "-o", f"Global.pretrained_model={stem}").out)
    set_key(small, **change)
    result = cli("eval", "-c", small, "-o", f"Global.pretrained_model={stem}")
    assert result.status == 0
    assert says in result.out
    assert top1_in(result.out) == before


def test_a_pruned_checkpoint_starts_another_training_without_being_pruned_again(cli, small, tmp_path):
    assert cli("train", "-c", small).status == 0
    stem = output_prefix(tmp_path / "output", "latest")
    other = ("-o", f"Global.output_dir={tmp_path / 'second'}", "-o", "Optimizer.lr.learning_rate=0.001")
    assert cli("train", "-c", small, "-o", f"Global.pretrained_model={stem}", *other).status == 0
    second = output_prefix(tmp_path / "second", "latest")
    assert shapes_of(second) == shapes_of(stem)
    plans = [json.loads(s.with_name("latest.slim.json").read_text())["prune"] for s in (stem, second)]
    assert plans[0] == plans[1]


def test_the_checkpoint_shrinks_by_the_share_of_parameters_removed(cli, small, tmp_path):
    assert cli("train", "-c", small).status == 0
    pruned = output_prefix(tmp_path / "output", "latest")
    dense = ("-o", "Slim=None", "-o", f"Global.output_dir={tmp_path / 'dense'}")
    assert cli("train", "-c", small, *dense).status == 0
    plan = json.loads(pruned.with_name("latest.slim.json").read_text())["prune"]
    sizes = [
        p.with_name("latest.pdparams").stat().st_size for p in (output_prefix(tmp_path / "dense", "latest"), pruned)
    ]
    share = plan["parameters"]["pruned"] / plan["parameters"]["dense"]
    # A pickle has a few hundred bytes a parameter of overhead, which weighs in a model of 0.9 MB.
    overhead = 250 * len(shapes_of(pruned))
    assert sizes[1] == pytest.approx(share * sizes[0], abs=0.02 * sizes[0] + overhead * (1 - share))


def test_a_dense_configuration_still_trains_densely_and_says_so(cli, small, tmp_path):
    result = cli("train", "-c", small, "-o", "Slim=None")
    assert result.status == 0
    assert "the model stays dense" in result.out
    sidecar = output_prefix(tmp_path / "output", "latest").with_name("latest.slim.json")
    assert set(json.loads(sidecar.read_text())) == {"manifest", "written_by", "metric", "epoch"}


@pytest.mark.parametrize(
    "section",
    [{"name": "fpgm", "pruned_ratio": 0.5}, {"name": "taylor", "pruned_flops": 0.5}],
    ids=["fpgm", "taylor"],
)
def test_dry_run_plans_what_training_prunes(cli, small, tmp_path, section):
    set_key(small, Slim__prune=section)
    dense = ("-o", "Slim=None", "-o", f"Global.output_dir={tmp_path / 'dense'}")
    assert cli("train", "-c", small, *dense).status == 0
    weights = ("-o", f"Global.pretrained_model={output_prefix(tmp_path / 'dense', 'latest')}")
    shown = cli("plan", "-c", small, *weights, "--json", "plan.json")
    assert shown.status == 0
    assert "conv.conv" in shown.out
    assert "FLOPs" in shown.out
    planned = json.loads((tmp_path / "plan.json").read_text())
    assert cli("train", "-c", small, *weights).status == 0
    stem = output_prefix(tmp_path / "output", "latest")
    assert json.loads(stem.with_name("latest.slim.json").read_text())["prune"] == planned
    assert planned["flops"]["pruned"] <= 0.5 * planned["flops"]["dense"]


def test_dense_weights_are_loaded_before_they_are_judged(cli, small, tmp_path):
    """Upstream prunes random weights first; the filters kept must be those of the trained model."""
    dense = ("-o", "Slim=None", "-o", f"Global.output_dir={tmp_path / 'dense'}")
    assert cli("train", "-c", small, *dense).status == 0
    stem = output_prefix(tmp_path / "dense", "latest")
    still = ("-o", "Optimizer.lr.learning_rate=0.0", "-o", "Optimizer.regularizer.coeff=0.0")
    assert cli("train", "-c", small, "-o", f"Global.pretrained_model={stem}", *still).status == 0
    pruned = output_prefix(tmp_path / "output", "latest")
    plan = checkpoints.open_checkpoint(str(pruned), "test").plan
    weights, left = paddle.load(f"{stem}.pdparams"), paddle.load(f"{pruned}.pdparams")
    name = (
        "blocks.3.pointwise_conv.conv.weight"
        if "blocks.3.pointwise_conv.conv.weight" in left
        else next(n for n, cut in plan.slices.params.items() if len(cut.keep) == 2)
    )
    expected = weights[name].numpy()
    for axis, keep in plan.slices.params[name].keep.items():
        expected = np.take(expected, keep, axis=axis)
    np.testing.assert_array_equal(left[name].numpy(), expected)


def test_per_layer_ratios_and_skip(cli, small, tmp_path):
    set_key(
        small,
        Slim__prune={
            "name": "l1_norm",
            "pruned_ratio": 0.25,
            "ratios": {"blocks.*": 0.5, "blocks.0.pointwise_conv.conv": 0.75},
            "skip": ["conv.conv"],
        },
    )
    shown = cli("plan", "-c", small, "--json", "plan.json")
    assert shown.status == 0, shown.err
    plan = json.loads((tmp_path / "plan.json").read_text())
    removed = {g["layers"][0]: 1 - g["kept"] / g["units"] for g in plan["groups"]}
    assert removed["conv.conv"] == 0
    assert removed["blocks.0.pointwise_conv.conv"] == 0.75
    assert removed["blocks.5.pointwise_conv.conv"] == 0.5


@pytest.mark.parametrize("align", [1, 8])
def test_flops_target(cli, small, tmp_path, align):
    set_key(small, Slim__prune={"name": "fpgm", "pruned_flops": 0.4, "align": align})
    assert cli("plan", "-c", small, "--json", "plan.json").status == 0
    plan = json.loads((tmp_path / "plan.json").read_text())
    removed = 1 - plan["flops"]["pruned"] / plan["flops"]["dense"]
    assert 0.4 <= removed < (0.44 if align == 1 else 0.6)
    assert all(g["kept"] % align == 0 or g["kept"] == g["units"] for g in plan["groups"])


def test_flops_that_cannot_be_reached(cli, small):
    set_key(small, Slim__prune={"name": "fpgm", "pruned_flops": 0.9, "skip": ["blocks.*"]})
    result = cli("plan", "-c", small)
    assert result.status == 2
    assert "cannot be reached" in result.message


def test_paddleclas_deploy_tool_reads_the_export(cli, small, tmp_path, digits, ppcls_root):
    """``deploy/python/predict_cls.py -c inference.yml`` names the class that ours names."""
    if not paddle.__version__.startswith("2."):
        pytest.skip("PaddleClas's deploy tools open inference.pdmodel, which Paddle 3 does not write")
    deploy = ppcls_root / "deploy"
    image = sorted((digits / "images/test").iterdir())[0]
    set_key(small, Infer__infer_imgs=str(image), Infer__PostProcess__topk=1)
    assert cli("train", "-c", small).status == 0
    override = ("-o", f"Global.pretrained_model={output_prefix(tmp_path / 'output', 'latest')}")
    assert cli("export", "-c", small, *override).status == 0
    assert cli("predict", "--model-dir", "inference", "--images", image, "--json", "p.json").status == 0
    ours = json.loads((tmp_path / "p.json").read_text())[0]["class_ids"]
    program = (
        f"import scipy.stats, cv2, runpy, sys; sys.path.insert(0, {str(deploy)!r});"
        "sys.argv = ['predict_cls.py', '-c', 'inference/inference.yml', '-o', 'Global.batch_size=1'];"
        f"runpy.run_path({str(deploy / 'python/predict_cls.py')!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300)
    assert f"class id(s): {ours}" in done.stdout + done.stderr, done.stderr[-2000:]
