"""Sensitivities are computed, written, resumed, used, and read from PaddleSlim's files."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from small_models import two_convolutions

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddleslim import load_paddleslim
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.analysis import analyse_model
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.sensitivity import read, sensitivities

pytestmark = pytest.mark.paddle26


def test_sensitivities_are_computed_written_resumed_and_used(tmp_path):
    model, config = two_convolutions(), PruneConfig(pruned_flops=0.3, sensitivity_file="unused", align=1)
    analysis = analyse_model(model, config, [3, 10, 10])
    before = {name: value.numpy().copy() for name, value in model.state_dict().items()}
    seen = []

    def evaluate():
        """An accuracy that the first convolution is worth four times as much for as the second."""
        shapes = {name: value.shape for name, value in model.state_dict().items()}
        seen.append((shapes["0.weight"][0], shapes["3.weight"][0]))
        return 1.0 - 0.08 * (8 - shapes["0.weight"][0]) - 0.02 * (6 - shapes["3.weight"][0])

    path = tmp_path / "sensitivity.json"
    table = sensitivities(path, model, analysis, "fpgm", evaluate, lambda line: None)
    assert set(table) == {"0", "3"}
    assert sorted(table["0"]) == [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    assert table["0"][0.5] == pytest.approx(0.32 / 1.001, abs=1e-5)
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name], err_msg=name)
    assert seen[0] == (8, 6)

    partial = json.loads(path.read_text())
    del partial["3"]["0.9"]
    path.write_text(json.dumps(partial))
    seen.clear()
    assert sensitivities(path, model, analysis, "fpgm", evaluate, lambda line: None) == table
    assert len(seen) == 2  # the baseline and the one that was missing

    plan = make_plan(model, config, [3, 10, 10], sensitivity_of=lambda _: table)
    removed = {d.layers[0]: 1 - len(d.kept) / d.prunable_channels for d in plan.decisions}
    assert plan.pruned_flops >= 0.3
    assert removed["3"] > removed["0"]


def test_paddleslims_pickled_sensitivities_can_be_read(tmp_path):
    load_paddleslim()
    from paddleslim.dygraph.prune.filter_pruner import Status

    model = two_convolutions()
    status = Status()
    status.sensitivies = {model[0].weight.name: {0.1: np.float64(0.01), 0.5: 0.2}}
    path = tmp_path / "sen.pickle"
    path.write_bytes(pickle.dumps(status))
    assert read(path, model) == {"0": {0.1: 0.01, 0.5: 0.2}}


def test_a_pickle_that_runs_code_is_refused(tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("code ran",))

    path = tmp_path / "sen.pickle"
    path.write_bytes(pickle.dumps({"w": Evil()}))
    with pytest.raises(SlimError, match="cannot be read"):
        read(path, two_convolutions())
