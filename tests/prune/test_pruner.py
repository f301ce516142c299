"""Whole models: the same channels go as with PaddleSlim's pruner, and what goes is only what was silenced."""

from __future__ import annotations

import importlib.metadata
import json
import logging
import pickle

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.common.registry import Registry
from ppcls_slim.compat.legacy_program import legacy_ir
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleslim import load_paddleslim
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune import importance
from ppcls_slim.prune.analysis import analyse_model
from ppcls_slim.prune.flops import measure
from ppcls_slim.prune.plan import Plan, apply_plan
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.pruner import prune
from ppcls_slim.prune.ranges import from_ranges, to_ranges
from ppcls_slim.prune.sensitivity import read, sensitivities
from ppcls_slim.report.tables import plan_table

pytestmark = pytest.mark.paddle26
PRUNERS = {"fpgm": "FPGMFilterPruner", "l1_norm": "L1NormFilterPruner", "l2_norm": "L2NormFilterPruner"}


def backbone(name, **keys):
    from ppcls_slim.compat.paddleclas.engine import load_engine

    load_engine()
    from ppcls.arch import backbone as backbones

    with paddle.utils.unique_name.guard():  # MobileNetV2 names its parameters itself: one a process
        return getattr(backbones, name)(**keys)


def pruned_by_paddleslim(model, name, ratio, shape):
    logging.disable(logging.WARNING)
    try:
        with legacy_ir():
            pruner = getattr(load_paddleslim().dygraph, PRUNERS[name])(model, [1, *shape])
            weights = [layer.weight.name for layer in model.sublayers() if isinstance(layer, paddle.nn.Conv2D)]
            pruner.prune_vars(dict.fromkeys(weights, ratio), 0)
    finally:
        logging.disable(logging.NOTSET)
    return model


@pytest.mark.parametrize(
    ("arch", "name", "skip"),
    [
        ("ResNet18_vd", "fpgm", []),
        ("MobileNetV1_x0_25", "l1_norm", []),
        ("MobileNetV2_x0_25", "fpgm", []),
        # PaddleSlim's analysis gives up on its last convolution, ours does not.
        ("MobileNetV3_small_x0_35", "l2_norm", ["last_conv"]),
    ],
)
def test_the_same_channels_go_as_with_paddleslim(arch, name, skip):
    if arch.startswith("MobileNetV3") and not paddle.__version__.startswith("2."):
        pytest.skip("PaddleSlim cannot trace paddle.multiply (squeeze-and-excitation) on Paddle 3, mended or not")
    shape, ratio = [3, 64, 64], 0.3
    theirs, ours = backbone(arch), backbone(arch)
    ours.set_state_dict(theirs.state_dict())
    prune(ours, make_plan(ours, PruneConfig(name=name, pruned_ratio=ratio, skip=skip, align=1), shape))
    left = pruned_by_paddleslim(theirs, name, ratio, shape).state_dict()
    for parameter, value in ours.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), left[parameter].numpy(), err_msg=parameter)


def two_convolutions():
    """conv (8) -> bn -> relu -> conv (6) -> global average -> linear."""
    paddle.seed(0)
    return paddle.nn.Sequential(
        paddle.nn.Conv2D(3, 8, 3, padding=1),
        paddle.nn.BatchNorm2D(8),
        paddle.nn.ReLU(),
        paddle.nn.Conv2D(8, 6, 3, padding=1, bias_attr=False),
        paddle.nn.ReLU(),
        paddle.nn.AdaptiveAvgPool2D(1),
        paddle.nn.Flatten(),
        paddle.nn.Linear(6, 2),
    )


def test_flops_are_multiply_accumulates_without_bias():
    cost = measure(two_convolutions(), [3, 10, 10])
    assert cost.flops() == 100 * (8 * 3 * 9) + 100 * (6 * 8 * 9) + 6 * 2
    assert cost.parameters == (8 * 3 * 9 + 8) + 4 * 8 + 6 * 8 * 9 + (6 * 2 + 2)


def test_flops_after_pruning_are_those_of_the_pruned_model():
    model = two_convolutions()
    plan = make_plan(model, PruneConfig(pruned_ratio=0.5, align=1), [3, 10, 10])
    prune(model, plan)
    after = measure(model, [3, 10, 10])
    assert plan.flops["pruned"] == after.flops() == 100 * (4 * 3 * 9) + 100 * (3 * 4 * 9) + 3 * 2
    assert plan.parameters["pruned"] == after.parameters


def test_a_plan_survives_json():
    model = two_convolutions()
    plan = make_plan(model, PruneConfig(pruned_ratio=0.5, align=1), [3, 10, 10])
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan


@pytest.mark.parametrize("numbers", [(), (0,), (0, 1, 2), (3, 5, 6, 7, 11), tuple(range(0, 20, 2))])
def test_ranges_can_be_read_back(numbers):
    assert from_ranges(to_ranges(numbers)) == numbers


def test_ranges_are_written_for_people():
    assert to_ranges((0, 1, 2, 3, 7, 9, 10)) == "0-3,7,9-10"


def test_a_plan_for_another_model_leaves_the_model_alone():
    plan = make_plan(two_convolutions(), PruneConfig(pruned_ratio=0.5, align=1), [3, 10, 10])
    other = paddle.nn.Sequential(paddle.nn.Conv2D(3, 9, 3), paddle.nn.BatchNorm2D(9))
    before = {name: value.numpy().copy() for name, value in other.state_dict().items()}
    with pytest.raises(SlimError, match="does not fit the model"):
        apply_plan(plan, other)
    for name, value in other.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), before[name])


def test_align_defaults_to_eight_on_a_gpu_and_to_paddleslims_on_a_cpu():
    config = PruneConfig(pruned_ratio=0.3)
    model = backbone("MobileNetV1_x0_25")
    on_gpu = make_plan(model, config, [3, 32, 32], device="gpu")
    on_cpu = make_plan(model, config, [3, 32, 32], device="cpu")
    assert (on_gpu.align, on_cpu.align) == (8, 1)
    assert "gpu" in on_gpu.align_reason
    assert all(len(d.kept) % 8 == 0 for d in on_gpu.decisions)
    assert any(len(d.kept) % 8 for d in on_cpu.decisions)


def test_weights_that_are_not_finite_are_refused_by_name():
    model = two_convolutions()
    model[0].weight.set_value(paddle.full([8, 3, 3, 3], float("nan")))
    with pytest.raises(SlimError, match=r"0\.weight has values that are not finite"):
        make_plan(model, PruneConfig(pruned_ratio=0.5), [3, 10, 10])


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


def test_a_criterion_can_come_from_another_package(monkeypatch):
    """By entry point: chosen in the YAML by name, without a change here."""
    last = importance.Criterion(
        "last_first", lambda weight, rows: -np.arange(len(weight), dtype=float)[slice(None) if rows is None else rows]
    )

    class Point:
        value = "somewhere:LAST"

        def load(self):
            return last

    monkeypatch.setattr(Registry, "entry_points", lambda self: {"last_first": Point()})
    plan = make_plan(two_convolutions(), PruneConfig(name="last_first", pruned_ratio=0.5, align=1), [3, 10, 10])
    assert [d.kept for d in plan.decisions] == [(0, 1, 2, 3), (0, 1, 2)]


def test_the_group_of_entry_points_can_be_listed_on_this_python():
    assert isinstance(importlib.metadata.entry_points(), object)
    assert all(isinstance(name, str) for name in importance.CRITERIA.entry_points())


def test_sizes_that_the_code_keeps_in_attributes_follow():
    """``paddle.reshape(y, [-1, self.pool2d_avg_channels])``: wrong after pruning unless the attribute follows."""
    model = backbone("SE_ResNet18_vd")
    plan = make_plan(model, PruneConfig(pruned_ratio=0.5, align=1), [3, 64, 64])
    assert plan.slices.sizes == {".pool2d_avg_channels": 256}
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    prune(model, again)
    assert model.pool2d_avg_channels == 256
    assert model(paddle.zeros([1, 3, 64, 64])).shape == [1, 1000]


def test_no_branch_is_left_without_a_channel():
    """Some channels are all that a tensor has; a high ratio would remove them all."""
    model = backbone("ESNet_x0_25")
    prune(model, make_plan(model, PruneConfig(pruned_ratio=0.75, align=1), [3, 64, 64]))
    assert min(size for tensor in model.state_dict().values() for size in tensor.shape) > 0
    assert model(paddle.zeros([1, 3, 64, 64])).shape == [1, 1000]


def test_convolutions_whose_output_leaves_the_model_are_kept_unless_asked():
    def model():
        return paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(8, 4, 3))

    kept = make_plan(model(), PruneConfig(pruned_ratio=0.5, align=1), [3, 10, 10])
    assert [d.layers for d in kept.decisions] == [("0",)]
    assert kept.frozen == {"2": "an output of the model"}
    cut = model()
    prune(cut, make_plan(cut, PruneConfig(pruned_ratio=0.5, align=1, skip_leaves=False), [3, 10, 10]))
    assert cut(paddle.zeros([1, 3, 10, 10])).shape == [1, 2, 6, 6]


class Pointwise(paddle.nn.Layer):
    """As in ConvNeXt: linear layers on ``[n, h, w, c]`` in the place of 1x1 convolutions."""

    def __init__(self):
        super().__init__()
        self.stem = paddle.nn.Conv2D(3, 8, 3, padding=1)
        self.up, self.down = paddle.nn.Linear(8, 16), paddle.nn.Linear(16, 8)
        self.head = paddle.nn.Linear(8, 5)

    def forward(self, x):
        y = self.stem(x).transpose([0, 2, 3, 1])
        y = self.down(paddle.nn.functional.gelu(self.up(y))).transpose([0, 3, 1, 2])
        return self.head(y.mean([2, 3]))


def test_linear_layers_that_are_pointwise_convolutions_are_scored_along_their_outputs():
    paddle.seed(0)
    model = Pointwise()
    plan = make_plan(model, PruneConfig(name="l1_norm", pruned_ratio=0.5, align=1), [3, 8, 8])
    decision = next(d for d in plan.decisions if d.root_weight == "up.weight")
    scores = np.abs(model.up.weight.numpy()).mean(axis=0)
    assert decision.kept == tuple(np.sort(scores.argsort()[8:]).tolist())
    prune(model, plan)
    assert (model.up.weight.shape, model.down.weight.shape) == ([4, 8], [8, 4])


def test_positions_that_the_code_picks_by_are_in_the_plan():
    class Picking(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.second = paddle.nn.Conv2D(3, 8, 1), paddle.nn.Conv2D(4, 5, 1)
            self.positions = paddle.to_tensor([7, 2, 5, 0])

        def forward(self, x):
            return self.second(paddle.index_select(self.first(x), self.positions, axis=1))

    dense, pruned = Picking(), Picking()
    plan = make_plan(dense, PruneConfig(name="l1_norm", pruned_ratio=0.5), [3, 8, 8])
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again == plan
    prune(pruned, again)
    kept = plan.decisions[0].kept
    expected = [kept.index(position) for position in [7, 2, 5, 0] if position in kept]
    assert pruned.positions.tolist() == expected
    assert pruned.second.weight.shape[1] == len(expected)


def test_a_plan_tells_which_flops_pruning_cannot_reach():
    class Hybrid(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.second = paddle.nn.Conv2D(3, 8, 1), paddle.nn.Conv2D(8, 16, 1)
            self.norm, self.mlp = paddle.nn.LayerNorm(16), paddle.nn.Linear(16, 64)

        def forward(self, x):
            return self.mlp(self.norm(self.second(self.first(x)).mean([2, 3])))

    plan = make_plan(Hybrid(), PruneConfig(pruned_ratio=0.5, align=1), [3, 4, 4])
    assert plan.flops == {"dense": 16 * (24 + 128) + 1024, "pruned": 16 * (12 + 64) + 1024, "unreached": 1024}
    expected = [
        "  second: layer_norm over channels",
        "  linear layers with 29.6 % of the FLOPs: widths of attention and MLPs stay",
    ]
    assert plan_table(plan).split("not pruned, and why:\n")[1].splitlines()[:2] == expected
