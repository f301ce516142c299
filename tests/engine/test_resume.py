"""Interrupted and resumed training ends in the weights of training that was never interrupted."""

from __future__ import annotations

import numpy as np
import pytest

from conftest import output_prefix
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26


def weights(folder):
    return {k: v.numpy() for k, v in paddle.load(f"{output_prefix(folder, 'latest')}.pdparams").items()}


@pytest.mark.parametrize("workers", [0, 2])
def test_resuming_equals_never_having_stopped(cli, small, tmp_path, monkeypatch, workers):
    from ppcls_slim.engine.engine import SlimEngine

    base = ("-c", small, "-o", "Global.epochs=3", "-o", f"DataLoader.Train.loader.num_workers={workers}")
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    assert cli("train", *base, "-o", f"Global.output_dir={whole}").status == 0

    epoch = SlimEngine._seeded_epoch

    def interrupted(self, engine, epoch_id, step):
        if epoch_id == 2:
            raise KeyboardInterrupt
        epoch(self, engine, epoch_id, step)

    monkeypatch.setattr(SlimEngine, "_seeded_epoch", interrupted)
    stopped = cli("train", *base, "-o", f"Global.output_dir={halves}")
    assert stopped.status == 130
    assert "resume with -o Global.checkpoints" in stopped.err
    monkeypatch.setattr(SlimEngine, "_seeded_epoch", epoch)

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
    best = output_prefix(tmp_path / "output", "best_model").with_name("best_model.pdparams")
    before = best.read_bytes()
    assert cli("train", "-c", small, "-o", "Global.epochs=4", "-o", f"Global.checkpoints={stem}").status == 0
    assert best.read_bytes() == before
