"""``Slim.prune.steps`` in trainings, from the command line."""

from __future__ import annotations

import json
import re
from functools import partial

import numpy as np
import pytest
import yaml
from stopped import QUANT, assert_same_weights, stopped_at, weights
from test_distributed import launch

from conftest import ROOT, output_prefix
from ppcls_slim.compat.paddle import paddle

DENSE = ROOT / "ppcls_configs/quickstart/digits_dense"
STEPS = {"name": "taylor", "pruned_flops": 0.5, "steps": 2, "importance": {"batches": 2}, "bn_batches": 2}
THREE_STAGES = {"prune": STEPS, "quant": {**QUANT, "epochs": 1, "learning_rate": 0.001}, "distill": {}}


@pytest.fixture
def configured(small, tmp_path):
    """Two epochs of a trained ResNet-8 on digits, in two steps."""

    def configure(slim=None, folder="output", **keys):
        config = yaml.safe_load(small.read_text())
        config["Arch"] = {"name": "CifarResNet8", "class_num": 10}
        config["Global"].update(pretrained_model=str(DENSE), epochs=2, output_dir=str(tmp_path / folder))
        config["Global"].update(save_interval=100, **keys)
        config["Optimizer"]["lr"]["learning_rate"] = 0.01
        config["Slim"] = {"prune": STEPS} if slim is None else slim
        path = tmp_path / f"{folder}.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    return configure


@pytest.fixture
def stop(monkeypatch):
    return partial(stopped_at, monkeypatch)


def last(folder, name="latest"):
    """Where a checkpoint of the last step or stage lies: below it there are those of the others."""
    found = (path for path in folder.rglob(f"{name}.pdparams") if not {"step_1", "float"} & set(path.parts))
    return next(found).with_suffix("")


def sidecar(prefix):
    return json.loads(prefix.with_name(f"{prefix.name}.slim.json").read_text())


def trained(cli, *arguments):
    result = cli("train", "-c", *arguments)
    assert result.status == 0, result.err
    return result


@pytest.mark.paddle26
def test_the_last_checkpoint_has_one_plan_of_the_dense_network(cli, configured, tmp_path):
    path = configured({"prune": STEPS, "report": {"latency_runs": 1}}, epochs=5)
    result = trained(cli, path)
    folders = tmp_path / "output/step_1", tmp_path / "output"
    found = [sidecar(output_prefix(folders[0], "latest")), sidecar(last(folders[1]))]
    first, second = (one["prune"] for one in found)
    assert [one["epoch"] for one in found] == [2, 3]  # equal parts, and the last has the remainder
    assert (first["step"], second["step"]) == ([1, 2], [2, 2])
    assert first["flops"]["dense"] == second["flops"]["dense"]
    for plan, asked in ((first, 0.25), (second, 0.5)):
        assert 0.0 <= 1 - plan["flops"]["pruned"] / plan["flops"]["dense"] - asked <= 0.05
    assert found[0]["top1_dense"] == found[1]["top1_dense"] >= 0.9
    assert "step 1 of 2 of pruning" in result.out
    assert "ppcls_slim: step 2 of 2 of pruning, 3 epochs" in result.out
    assert result.out.count("estimated anew on 2 batches") == 2
    stages = json.loads((tmp_path / "output/report.json").read_text())["stages"]
    assert [(one["name"], one["step"], len(one["epochs"])) for one in stages] == [
        ("pruned", "step 1 of 2", 2),
        ("pruned", "step 2 of 2", 3),
    ]
    for file in (tmp_path / "output").rglob("config.yaml"):  # each repeats all steps
        kept, given = yaml.safe_load(file.read_text()), yaml.safe_load(path.read_text())
        assert (kept["Global"]["epochs"], kept["Slim"]) == (5, given["Slim"])
        assert kept["Global"]["pretrained_model"] == str(DENSE)
    # The report is of the dense network, and nobody needs to know that there were steps.
    dense, pruned = re.findall(r"FLOPs.*? ([\d.]+) M.*? ([\d.]+) M", result.out.split("dense |")[-1])[0]
    assert float(pruned) / float(dense) == pytest.approx(
        second["flops"]["pruned"] / second["flops"]["dense"], abs=0.01
    )
    best = last(folders[1], "best_model")
    again = cli("eval", "-c", configured({}), "-o", f"Global.pretrained_model={best}")
    assert again.status == 0, again.err
    top1 = float(re.findall(r"\[Avg\].*top1: ([\d.]+)", again.out)[-1])
    assert top1 == pytest.approx(sidecar(best)["metric"], abs=1e-5)


def test_every_step_goes_through_the_whole_learning_rate_and_other_random_numbers(cli, configured, monkeypatch):
    from ppcls_slim.engine.hooks import Seeding

    drawn, before_epoch = [], Seeding.before_epoch

    def telling(hook, model, epoch):
        before_epoch(hook, model, epoch)
        drawn.append(np.random.random())

    monkeypatch.setattr(Seeding, "before_epoch", telling)
    result = trained(cli, configured(epochs=4, print_batch_step=1))
    rates = [float(rate) for rate in re.findall(r"Epoch 1/2\]\[Iter: 0/4\]lr(?:\(\w+\))?: ([\d.]+)", result.out)]
    assert len(rates) == 2 and rates[0] == rates[1] >= 0.009
    assert len(set(drawn)) == 4


@pytest.mark.paddle26
@pytest.mark.parametrize(
    "moments", [[(2, 2)], pytest.param([(1, 1), (1, 2), (2, None), (2, 1)], marks=pytest.mark.slow)]
)
def test_steps_go_on_wherever_they_were_stopped(cli, configured, stop, tmp_path, moments):
    trained(cli, configured(folder="whole", epochs=4))
    expected = weights(tmp_path / "whole")
    assert len(expected) == 4
    for number, (stage, epoch) in enumerate(moments):
        path = configured(folder=f"parts{number}", epochs=4)
        with stop(stage, epoch):
            assert cli("train", "-c", path, "--resume", "auto").status == 130
        trained(cli, path, "--resume", "auto")
        assert_same_weights(weights(tmp_path / f"parts{number}"), expected)


@pytest.mark.slow
@pytest.mark.paddle26
def test_steps_and_the_quantized_stage_have_one_teacher_and_are_resumed(cli, configured, stop, tmp_path):
    trained(cli, configured(THREE_STAGES, "whole"))
    expected = weights(tmp_path / "whole")
    teachers = [expected[f"{folder}teacher.pdparams"] for folder in ("float/step_1/", "float/", "")]
    dense = {name: value.numpy() for name, value in paddle.load(f"{DENSE}.pdparams").items()}
    for one in teachers:
        assert_same_weights({"": one}, {"": {name: dense[name] for name in one}})
    told = sidecar(last(tmp_path / "whole"))
    assert told["quant"] and told["distill"]["teacher"] == "dense" and "step" not in told["prune"]
    for stage in (1, 2, 3):
        path = configured(THREE_STAGES, f"stopped{stage}")
        with stop(stage, 1):
            assert cli("train", "-c", path, "--resume", "auto").status == 130
        trained(cli, path, "--resume", "auto")
        assert_same_weights(weights(tmp_path / f"stopped{stage}"), expected)


def test_a_checkpoint_that_is_named_says_which_step_it_is_of(cli, configured, tmp_path):
    path = configured()
    trained(cli, path)
    first = output_prefix(tmp_path / "output/step_1", "latest")
    before = weights(tmp_path / "output")
    result = trained(cli, path, "-o", f"Global.checkpoints={first}")
    assert "nothing is left to train, Global.epochs is 1" in result.out
    assert_same_weights(weights(tmp_path / "output"), before)
    other = cli("train", "-c", path, "-o", "Slim.prune.steps=3", "-o", "Global.epochs=3", "--resume", "auto")
    assert other.message.endswith(
        f"{last(tmp_path / 'output')}.pdparams is of step 2 of 2, and step 3 of 3 is to be resumed: set steps as it "
        "was, or empty Global.output_dir to start anew"
    )


@pytest.mark.slow
def test_a_pruned_model_is_not_pruned_again(cli, configured, tmp_path):
    trained(cli, configured())
    pruned = output_prefix(tmp_path / "output/step_1", "latest")
    result = trained(cli, configured(folder="again"), "-o", f"Global.pretrained_model={pruned}")
    assert "Slim.prune.steps has no effect: the model is pruned or quantized already" in result.out
    latest = last(tmp_path / "again")
    assert sidecar(latest)["prune"]["cuts"] == sidecar(pruned)["prune"]["cuts"]
    assert not (tmp_path / "again/step_1").exists()
    trained(cli, configured(folder="again", epochs=3), "-o", f"Global.pretrained_model={pruned}", "--resume", "auto")
    assert sidecar(latest)["epoch"] == 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["Global.epochs=1"],
            "Slim.prune.steps: 2 steps are trained for an epoch or more each, and Global.epochs is 1",
        ),
        (
            ["Global.epochs=5", "Optimizer.lr={name: Piecewise, decay_epochs: [2], values: [0.1, 0.01]}"],
            "Optimizer.lr.decay_epochs [2] counts the epochs of one step, and a step has 2 (Global.epochs 5 in 2",
        ),
        (["Optimizer.lr.warmup_epoch=5"], "Optimizer.lr.warmup_epoch 5 counts the epochs of one step"),
        (["Slim.quant={name: pact}"], "set quant.epochs, and the pruned model is quantized in a stage of its own"),
        (["Slim.prune.schedule={name: masked}"], "schedule"),
        (["Slim.prune.steps=0"], "Slim.prune.steps"),
        (["Slim.prune.pruned_flops=0.99"], "Slim.prune.pruned_flops 0.99 cannot be reached"),
    ],
)
def test_what_makes_no_sense_in_steps_is_one_line(cli, configured, tmp_path, arguments, message):
    result = cli("train", "-c", configured(), *(word for one in arguments for word in ("-o", one)))
    assert result.status == 2
    assert message in result.message
    assert not list((tmp_path / "output").rglob("*.pdparams"))


def test_the_plan_says_that_training_makes_several(cli, configured):
    result = cli("plan", "-c", configured({"prune": {"pruned_ratio": 0.5, "steps": 4}}))
    assert result.status == 0, result.err
    assert "steps 4: this is all of it at once, by the weights of today. Training removes 1/4 of it" in result.out
    assert "16 -> 8" in result.out


@pytest.mark.slow
def test_two_processes_prune_alike_in_every_step(configured, tmp_path):
    path = configured({"prune": {"name": "fpgm", "pruned_ratio": 0.5, "steps": 2}})
    done = launch("train", tmp_path, "-c", path, "-o", "Global.seed=None")
    logs = "".join(path.read_text() for path in sorted((tmp_path / "log").glob("workerlog.*")))
    assert done.returncode == 0, logs[-3000:] + done.stderr[-3000:]
    plan = sidecar(last(tmp_path / "output"))["prune"]
    assert plan["step"] == [2, 2]
    assert all(group["kept"] == group["units"] // 2 for group in plan["groups"])
