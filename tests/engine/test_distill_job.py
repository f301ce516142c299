"""``Slim.distill`` in trainings, from the command line."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
import yaml
from stopped import MASKED, PRUNE, QUANT, assert_same_weights, weights
from test_distributed import launch

from conftest import ROOT, output_prefix, reseal
from ppcls_slim.checkpoint import write_sidecar
from ppcls_slim.compat.paddle import paddle

DENSE = ROOT / "ppcls_configs/quickstart/digits_dense"


@pytest.fixture
def taught(small):
    """Four steps an epoch of a trained ResNet-8 on digits, with the sections and keys of ``Slim.distill`` given."""

    def configure(slim=None, sections=(), **distill):
        config = yaml.safe_load(small.read_text())
        config["Arch"] = {"name": "CifarResNet8", "class_num": 10}
        config["Global"]["pretrained_model"] = str(DENSE)
        config["Optimizer"]["lr"]["learning_rate"] = 0.005
        config["Slim"] = {**({"prune": PRUNE} if slim is None else slim), "distill": distill}
        for key, value in dict(sections).items():
            config[key] = {**config.get(key, {}), **value}
        small.write_text(yaml.safe_dump(config))
        return small

    return configure


def sidecar(prefix):
    return json.loads(prefix.with_name(f"{prefix.name}.slim.json").read_text())


def latest(folder):
    return output_prefix(folder, "latest")


def trained(cli, *arguments):
    result = cli("train", "-c", *arguments)
    assert result.status == 0, result.err
    return result


@pytest.mark.paddle26
def test_a_pruned_model_learns_from_what_it_was(cli, taught, tmp_path, monkeypatch):
    from ppcls_slim.distill.distillation import Distillation

    seen = []
    teach = Distillation._teach
    monkeypatch.setattr(Distillation, "_teach", lambda *args: seen.append(args[1].training) or teach(*args))
    result = trained(cli, taught(weight=0.25, features=["line*"]), "-o", "Global.epochs=2")
    assert seen == [True] * 8  # the batches of two epochs, and none of their evaluations
    number, names = r"([\d.]+)", ("CELoss", "DistillLoss", "FeatureLoss", "loss")
    line = re.findall(r"Epoch 2/2\]\[Avg\].*" + ", ".join(f"{name}: {number}" for name in names), result.out)
    task, kl, feature, loss = map(float, line[0])
    assert loss == pytest.approx(0.75 * task + 0.25 * kl + feature, rel=1e-3)
    assert re.search(r"the teacher is dense, top-1 (9|10)\d\.\d+ % on 64 training images", result.out)
    note = sidecar(latest(tmp_path / "output"))["distill"]
    assert (note["teacher"], note["weight"], note["temperature"]) == ("dense", 0.25, 4.0)
    saved, dense = (paddle.load(f"{path}.pdparams") for path in (tmp_path / "output/teacher", DENSE))
    assert all(np.array_equal(value.numpy(), saved[name].numpy()) for name, value in dense.items() if name in saved)
    # The files are those of any dense and any pruned checkpoint.
    for prefix, top1 in ((tmp_path / "output/teacher", 0.9), (latest(tmp_path / "output"), 0.0)):
        result = cli("eval", "-c", taught({}), "-o", f"Global.pretrained_model={prefix}")
        assert float(re.findall(r"\[Avg\].*top1: ([\d.]+)", result.out)[-1]) >= top1, result.err


@pytest.mark.parametrize(
    "slim",
    [{"prune": MASKED}, *(pytest.param(one, marks=pytest.mark.slow) for one in ({"quant": QUANT}, {"prune": PRUNE}))],
)
def test_a_resumed_training_finds_its_teacher(cli, taught, tmp_path, slim):
    path = taught(slim, features=["linear" if slim == {"prune": PRUNE} else "layer1*"])
    whole, parts = (
        ("-o", f"Global.output_dir={tmp_path / 'whole'}"),
        ("-o", f"Global.output_dir={tmp_path / 'parts'}"),
    )
    epochs = "-o", "Global.epochs=2", "-o", "Optimizer.lr={name: Constant, learning_rate: 0.005}"
    trained(cli, path, *epochs, *whole)
    trained(cli, path, *epochs, *parts, "-o", "Global.epochs=1")
    if slim != {"prune": MASKED}:
        trained(cli, path, *epochs, *parts, "--resume", "auto")
    else:  # in another folder, and the teacher is kept there, too
        (tmp_path / "parts").rename(tmp_path / "moved")
        trained(cli, path, *epochs, *parts, "-o", f"Global.checkpoints={latest(tmp_path / 'moved')}")
    found, expected = weights(tmp_path / "parts"), weights(tmp_path / "whole")
    file = str(latest(tmp_path / "whole").relative_to(tmp_path / "whole")) + ".pdparams"
    assert_same_weights({file: found[file]}, {file: expected[file]})
    assert_same_weights({"": found["teacher.pdparams"]}, {"": expected["teacher.pdparams"]})


def test_a_teacher_that_is_gone_or_another_stops_a_resumed_training(cli, taught, tmp_path):
    path = taught()
    trained(cli, path)
    checkpoint = latest(tmp_path / "output")
    again = ("train", "-c", path, "-o", "Global.epochs=2", "-o", f"Global.checkpoints={checkpoint}")
    teacher = tmp_path / "output/teacher.pdparams"
    kept = teacher.read_bytes()
    paddle.save({"a": paddle.ones([1])}, str(teacher))
    remedy = "restore it, or name the dense weights: -o Slim.distill.teacher=..."
    assert cli(*again).message.endswith(
        f"Slim.distill.teacher: {checkpoint}.pdparams did not learn from {teacher}: {remedy}"
    )
    teacher.unlink()
    assert cli(*again).message.endswith(
        f"teacher.pdparams, from which {checkpoint}.pdparams learned, is not in its folder or above: {remedy}"
    )
    named = cli(*again, "-o", f"Slim.distill.teacher={DENSE}", "-o", f"Global.output_dir={tmp_path / 'other'}")
    assert named.status == 0, named.err
    assert f"the teacher was dense until now, and is {DENSE}.pdparams now" in named.out
    teacher.write_bytes(kept)
    trained(cli, path, "-o", f"Global.pretrained_model={checkpoint}")  # the epoch of a pruned model that follows
    note = sidecar(checkpoint)
    write_sidecar(checkpoint, {key: value for key, value in note.items() if key not in ("manifest", "distill")})
    unknown = cli("train", "-c", path, "-o", f"Global.pretrained_model={checkpoint}")
    assert "is compressed and was not taught by its dense model: name the dense weights" in unknown.message


@pytest.mark.parametrize("first", [MASKED, None])
def test_the_second_stage_has_the_teacher_of_the_first(cli, taught, tmp_path, first):
    """Without pruning the first stage has none, and the float model that it trains teaches the quantized one."""
    slim = {**({"prune": first} if first else {}), "quant": {**QUANT, "epochs": 1}}
    path = taught(slim)
    result = trained(cli, path)
    assert result.out.count("DistillLoss") == (4 if first else 2)  # a step and an average of each epoch
    saved = weights(tmp_path / "output")
    for prefix in (path.with_suffix("") for path in (tmp_path / "output").rglob("latest.pdparams")):
        taught_by = sidecar(prefix).get("distill", {}).get("teacher")
        assert taught_by == (None if first is None and "float" in prefix.parts else "dense")
    if first:
        assert_same_weights({"": saved["float/teacher.pdparams"]}, {"": saved["teacher.pdparams"]})
    else:
        best = str(output_prefix(tmp_path / "output/float", "best_model").relative_to(tmp_path / "output"))
        assert_same_weights({"": saved[f"{best}.pdparams"]}, {"": saved["teacher.pdparams"]})
    assert "nothing is left to train" in trained(cli, path, "--resume", "auto").out


@pytest.mark.paddle26
@pytest.mark.parametrize("slim", [{"prune": PRUNE}, {"quant": QUANT}])
def test_a_compressed_checkpoint_teaches(cli, taught, tmp_path, slim):
    student = taught(slim)
    trained(cli, student, "-o", "Slim.distill=False")
    teacher = tmp_path / "teacher"
    output_prefix(tmp_path / "output", "latest").parent.rename(teacher)
    result = trained(cli, student, "-o", f"Slim.distill.teacher={teacher / 'latest'}")
    note = sidecar(latest(tmp_path / "output"))["distill"]
    assert note["teacher"] == f"{teacher / 'latest'}.pdparams"
    assert not (tmp_path / "output/teacher.pdparams").exists()
    assert "DistillLoss" in result.out
    (teacher / "latest.pdparams").write_bytes(latest(tmp_path / "output").with_suffix(".pdparams").read_bytes())
    reseal(teacher / "latest")
    again = ("-o", f"Slim.distill.teacher={teacher / 'latest'}", "-o", "Global.epochs=2", "--resume", "auto")
    assert "is not what it was when" in cli("train", "-c", student, *again).message


def test_a_network_of_another_architecture_teaches(cli, taught, tmp_path):
    """It brings its own weights, or those that are named."""
    big = yaml.safe_load(taught().read_text())
    big["Arch"] = {"name": "CifarResNet20", "class_num": 10}
    big["Global"]["pretrained_model"] = None
    other = tmp_path / "big.yaml"
    other.write_text(yaml.safe_dump(big))
    student = taught(config=str(other))
    assert cli("train", "-c", student).message.endswith(
        f"Slim.distill.config: {other} names no weights: name them with Slim.distill.teacher"
    )
    trained(cli, other, "-o", "Slim=None", "-o", f"Global.output_dir={tmp_path / 'big'}")
    weights_of_it = latest(tmp_path / "big")
    result = trained(
        cli, student, "-o", f"Slim.distill.teacher={weights_of_it}", "-o", "Slim.distill.features=[linear]"
    )
    assert "DistillLoss" in result.out
    big["Global"]["pretrained_model"] = str(weights_of_it)
    other.write_text(yaml.safe_dump(big))
    assert f"the teacher is {weights_of_it}.pdparams, top-1" in trained(cli, student).out


def test_where_nothing_is_trained_nobody_teaches(cli, taught, tmp_path):
    result = trained(cli, taught({"quant": QUANT}), "-o", "Global.epochs=0")
    assert "Slim.distill: Global.epochs is 0, and nothing is learned from a teacher" in result.out
    assert "distill" not in sidecar(output_prefix(tmp_path / "output", "best_model"))


def test_images_that_are_mixed_have_mixed_answers(cli, taught):
    path = taught()
    config = yaml.safe_load(path.read_text())
    config["DataLoader"]["Train"]["dataset"]["batch_transform_ops"] = [{"MixupOperator": {"alpha": 0.2}}]
    config["Loss"]["Train"] = [{"CELoss": {"weight": 1.0, "epsilon": 0.1}}]
    path.write_text(yaml.safe_dump(config))
    result = trained(cli, path)
    assert re.search(r"CELoss: [\d.]+, DistillLoss: [\d.]+, loss: [\d.]+", result.out)
    assert "no better than chance" not in result.out


def test_mixed_precision(cli, taught):
    """Without effect on a CPU; PaddleClas's loop is the one that scales the loss."""
    amp = {"AMP": {"use_amp": True, "scale_loss": 128.0, "use_dynamic_loss_scaling": True, "level": "O1"}}
    assert "DistillLoss" in trained(cli, taught(sections=amp)).out


def test_averaged_weights_and_accumulated_gradients(cli, taught, tmp_path):
    """PaddleClas's section EMA and ``Global.update_freq``, which the 2.4.2 wheel does not have."""
    from ppcls_slim.compat.paddleclas.stand_ins import averages_weights

    path = taught(sections={"EMA": {"decay": 0.9}, "Global": {"update_freq": 2}})
    if not averages_weights():
        assert "EMA: this PaddleClas keeps no moving average" in cli("train", "-c", path).message
        return
    assert "DistillLoss" in trained(cli, path).out
    folder = latest(tmp_path / "output").parent
    others = [path for name in ("pdema", "ema.pdparams") for path in folder.glob(f"latest.{name}")]  # releases differ
    averaged, stepped = (paddle.load(str(path)) for path in (folder / "latest.pdparams", others[0]))
    assert averaged.keys() == stepped.keys()
    assert any(not np.array_equal(averaged[name].numpy(), stepped[name].numpy()) for name in averaged)


@pytest.mark.slow
def test_two_processes_have_one_teacher(taught, tmp_path):
    path = taught({"prune": MASKED})
    done = launch("train", tmp_path, "-c", path, "-o", "Global.seed=None")
    logs = [(tmp_path / f"log/workerlog.{rank}").read_text() for rank in (0, 1)]
    assert done.returncode == 0, "".join(logs)[-3000:] + done.stderr[-3000:]
    assert "DistillLoss" in done.stdout + logs[0]
    saved, dense = (paddle.load(f"{path}.pdparams") for path in (tmp_path / "output/teacher", DENSE))
    assert all(np.array_equal(value.numpy(), saved[name].numpy()) for name, value in dense.items() if name in saved)
