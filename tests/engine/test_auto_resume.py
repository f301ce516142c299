"""``Global.checkpoints: auto`` (``train --resume auto``) finds the stage and the checkpoint by itself."""

from __future__ import annotations

import hashlib
from functools import partial

import pytest
import yaml
from stopped import MASKED, PRUNE, QUANT, TWO_STAGES, assert_same_weights, stopped_at, weights

from conftest import output_prefix
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26


@pytest.fixture
def train(cli, small, tmp_path):
    """Train for two epochs with a ``Slim`` section, into a folder of this name."""

    def run(section, folder, *arguments):
        config = yaml.safe_load(small.read_text())
        config["Slim"] = section
        config["Global"].update(epochs=2, output_dir=str(tmp_path / folder), save_interval=100)
        small.write_text(yaml.safe_dump(config))
        return cli("train", "-c", small, *arguments)

    return run


@pytest.fixture
def stop(monkeypatch):
    return partial(stopped_at, monkeypatch)


@pytest.mark.parametrize(
    "section",
    [None, {"prune": PRUNE}, {"prune": MASKED}, {"quant": QUANT}],
    ids=["dense", "prune", "masked", "quant"],
)
def test_a_training_that_was_stopped_ends_in_the_same_weights(train, stop, tmp_path, section):
    whole = train(section, "whole", "--resume", "auto")
    assert whole.status == 0, whole.err
    assert f"{tmp_path / 'whole'} has no checkpoint yet: starting anew" in whole.out
    with stop(1, 2):
        assert train(section, "parts", "-o", "Global.checkpoints=auto").status == 130
    resumed = train(section, "parts", "-o", "Global.checkpoints=auto")
    assert resumed.status == 0, resumed.err
    assert f"going on with {output_prefix(tmp_path / 'parts', 'latest')}" in resumed.out
    assert "resuming after epoch 1" in resumed.out
    assert_same_weights(weights(tmp_path / "parts"), weights(tmp_path / "whole"))


@pytest.mark.parametrize(
    "moments", [[(1, 2), (2, 2)], pytest.param([(1, None), (1, 1), (2, None), (2, 1)], marks=pytest.mark.slow)]
)
def test_two_stages_go_on_wherever_they_were_stopped(train, stop, tmp_path, moments):
    """In front of the first epoch of a stage, or None: before the stage trains."""
    assert train(TWO_STAGES, "whole").status == 0
    expected = weights(tmp_path / "whole")
    assert {file.split("/")[0] for file in expected} >= {"float"}
    for stage, epoch in moments:
        folder = f"stopped-{stage}-{epoch}"
        with stop(stage, epoch):
            assert train(TWO_STAGES, folder, "--resume", "auto").status == 130
        resumed = train(TWO_STAGES, folder, "--resume", "auto")
        assert resumed.status == 0, resumed.err
        assert_same_weights(weights(tmp_path / folder), expected)


def test_between_the_stages_nothing_is_trained_again(train, stop, tmp_path):
    with stop(2, None):
        assert train(TWO_STAGES, "output").status == 130
    pruned = output_prefix(tmp_path / "output/float", "pruned_model").with_name("pruned_model.pdparams")
    before = hashlib.sha256(pruned.read_bytes()).hexdigest()
    pruned.unlink()  # stopped before it was written
    resumed = train(TWO_STAGES, "output", "--resume", "auto")
    assert resumed.status == 0, resumed.err
    assert resumed.out.count("nothing is left to train, Global.epochs is 2") == 1
    assert "[Train][Epoch 2/2][Avg]" in resumed.out  # of the second stage
    assert hashlib.sha256(pruned.read_bytes()).hexdigest() == before


def test_a_complete_training_says_so_and_writes_what_is_missing(train, tmp_path):
    section = {"prune": MASKED, "report": {"latency_runs": 1}}
    assert train(section, "output").status == 0
    exported = tmp_path / "inference/inference.slim.json"
    pruned = output_prefix(tmp_path / "output", "pruned_model").with_name("pruned_model.pdparams")
    before = weights(tmp_path / "output")
    exported.unlink()
    pruned.unlink()
    again = train(section, "output", "--resume", "auto")
    assert again.status == 0, again.err
    assert "nothing is left to train, Global.epochs is 2" in again.out
    assert "[Train][Epoch" not in again.out
    assert "pruned is " in again.out and exported.is_file()
    assert_same_weights(weights(tmp_path / "output"), before)


def test_a_folder_without_its_latest_checkpoint_is_not_overwritten(train, tmp_path):
    assert train({"prune": PRUNE}, "output", "-o", "Global.save_interval=1").status == 0
    latest = output_prefix(tmp_path / "output", "latest").with_name("latest.pdparams")
    latest.unlink()
    assert f"there is no file {latest}" in train({"prune": PRUNE}, "output", "--resume", "auto").message
    for rest in latest.parent.glob("latest.*"):
        rest.unlink()
    message = train({"prune": PRUNE}, "output", "--resume", "auto").message
    assert str(latest.with_name("epoch_2")) in message


@pytest.mark.slow
def test_the_second_stage_of_an_earlier_training_is_not_taken_for_this_one(train, stop, tmp_path):
    assert train(TWO_STAGES, "output").status == 0
    with stop(1, 2):
        assert train(TWO_STAGES, "output", "-o", "Global.seed=8").status == 130
    resumed = train(TWO_STAGES, "output", "-o", "Global.seed=8", "--resume", "auto")
    assert resumed.status == 0, resumed.err
    assert f"going on with {output_prefix(tmp_path / 'output/float', 'latest')}" in resumed.out
    assert train(TWO_STAGES, "whole", "-o", "Global.seed=8").status == 0
    assert_same_weights(weights(tmp_path / "output"), weights(tmp_path / "whole"))


def test_a_best_model_that_was_saved_before_the_stop_came_is_the_best(train, monkeypatch, tmp_path):
    """It is saved before the latest checkpoint of its epoch."""
    from ppcls_slim.engine.saving import CheckpointWriter

    save_model = CheckpointWriter.save_model

    def interrupted(writer, net, optimizers, info, *arguments, **keywords):
        if keywords["prefix"] == "best_model":
            info = {**info, "metric": float(info["epoch"])}  # the last is the best
        if (keywords["prefix"], info["epoch"]) == ("latest", 2):
            raise KeyboardInterrupt
        save_model(writer, net, optimizers, info, *arguments, **keywords)

    with monkeypatch.context() as patched:
        patched.setattr(CheckpointWriter, "save_model", interrupted)
        patched.setattr("ppcls_slim.engine.engine.SlimEngine.eval", lambda engine, epoch: float(epoch))
        assert train({"prune": MASKED}, "output").status == 130
    resumed = train({"prune": MASKED}, "output", "--resume", "auto")
    assert resumed.status == 0, resumed.err
    assert "does not lie beside" not in resumed.out
    best = output_prefix(tmp_path / "output", "best_model")
    assert f"{best} without its zeroed filters" in resumed.out
    assert paddle.load(f"{best}.pdstates")["epoch"] == 2
