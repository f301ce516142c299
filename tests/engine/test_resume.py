"""Interrupted and resumed training ends in the weights of training that was never interrupted."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from conftest import output_prefix, reseal
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26


def weights(folder):
    return {k: v.numpy() for k, v in paddle.load(f"{output_prefix(folder, 'latest')}.pdparams").items()}


@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_equals_never_having_stopped(cli, small, tmp_path, monkeypatch, workers):
    from ppcls_slim.engine.hooks import Seeding

    base = ("-c", small, "-o", "Global.epochs=3", "-o", f"DataLoader.Train.loader.num_workers={workers}")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert cli("train", *base, "-o", f"Global.output_dir={whole}").status == 0

    before_epoch = Seeding.before_epoch

    def interrupted(self, model, epoch):
        if epoch == 2:
            raise KeyboardInterrupt
        before_epoch(self, model, epoch)

    monkeypatch.setattr(Seeding, "before_epoch", interrupted)
    stopped = cli("train", *base, "-o", f"Global.output_dir={halves}")
    assert stopped.status == 130
    assert "--resume auto" in stopped.err
    monkeypatch.setattr(Seeding, "before_epoch", before_epoch)

    latest = output_prefix(halves, "latest")
    resumed = cli("train", *base, "-o", f"Global.output_dir={halves}", "-o", f"Global.checkpoints={latest}")
    assert resumed.status == 0
    assert "resuming after epoch 1" in resumed.out

    expected, found = weights(whole), weights(halves)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(found[name], value, err_msg=name)


def test_resuming_remembers_the_best_model(cli, small, tmp_path):
    """PaddleClas takes the accuracy of the last epoch for the best, and a worse model then replaces a better one."""
    assert cli("train", "-c", small, "-o", "Global.epochs=2").status == 0
    stem = output_prefix(tmp_path / "output", "latest")
    states = paddle.load(f"{stem}.pdstates")
    states["ppcls_slim"]["best"] = {"metric": 2.0, "epoch": 1}  # nothing can be better
    paddle.save(states, f"{stem}.pdstates")
    reseal(stem)
    best = output_prefix(tmp_path / "output", "best_model").with_name("best_model.pdparams")
    before = best.read_bytes()
    assert cli("train", "-c", small, "-o", "Global.epochs=4", "-o", f"Global.checkpoints={stem}").status == 0
    assert best.read_bytes() == before


@pytest.mark.parametrize("told", [True, False])
def test_a_resumed_schedule_removes_filters_from_the_best_model(cli, small, tmp_path, told):
    """The best epoch was before the stop; ``.pdstates`` of older versions do not say where it was saved."""
    config = yaml.safe_load(small.read_text())
    config["Slim"] = {"prune": {"name": "fpgm", "pruned_ratio": 0.5, "schedule": {"name": "masked"}}}
    small.write_text(yaml.safe_dump(config))
    assert cli("train", "-c", small, "-o", "Global.epochs=2").status == 0
    latest, best = (output_prefix(tmp_path / "output", name) for name in ("latest", "best_model"))
    states = paddle.load(f"{latest}.pdstates")
    epoch = json.loads(best.with_name("best_model.slim.json").read_text())["epoch"]
    states["ppcls_slim"]["best"] = {"metric": 2.0, "epoch": epoch}  # nothing can be better
    assert states["ppcls_slim"]["saved"]["best_model"] == str(best)
    if not told:
        del states["ppcls_slim"]["saved"]
    paddle.save(states, f"{latest}.pdstates")
    reseal(latest)
    result = cli("train", "-c", small, "-o", "Global.epochs=3", "-o", f"Global.checkpoints={latest}")
    assert result.status == 0, result.err
    assert f"{best} without its zeroed filters" in result.out
    pruned = best.with_name("pruned_model.slim.json")
    assert json.loads(pruned.read_text())["epoch"] == epoch
    assert cli("eval", "-c", small, "-o", f"Global.pretrained_model={pruned.with_name('pruned_model')}").status == 0


def test_a_run_resumed_in_another_folder_finds_the_best_model_of_the_first(cli, small, tmp_path):
    """``Slim.report`` exports it, from where the stopped run had saved it."""
    base = ("-c", small, "-o", "Slim.report={'latency_runs': 1}")
    assert cli("train", *base, "-o", "Global.epochs=1").status == 0
    latest, best = (output_prefix(tmp_path / "output", name) for name in ("latest", "best_model"))
    states = paddle.load(f"{latest}.pdstates")
    states["ppcls_slim"]["best"] = {"metric": 2.0, "epoch": 1}
    paddle.save(states, f"{latest}.pdstates")
    reseal(latest)
    other = ("-o", f"Global.output_dir={tmp_path / 'other'}", "-o", f"Global.checkpoints={latest}")
    result = cli("train", *base, *other, "-o", "Global.epochs=2")
    assert result.status == 0, result.err
    assert f"pruned is {best} exported to" in result.out
