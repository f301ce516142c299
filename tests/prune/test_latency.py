"""Latency as a budget, with a meter whose latencies are a known staircase."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from small_models import backbone

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.analysis import analyse_model
from ppcls_slim.prune.latency.calls import calls_of
from ppcls_slim.prune.latency.layer_times import layer_times
from ppcls_slim.prune.latency.meter import LayerPoint, Place
from ppcls_slim.prune.latency.staircase import knots, probe, probed, staircase
from ppcls_slim.prune.plan import Plan
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.ranking import candidate, rank
from ppcls_slim.prune.slices import param_slices

SHAPE = [3, 12, 12]
BLOCK = 16


class FakeMeter:
    """An engine that computes outputs in blocks, takes its time between layers, and is slower or faster in networks.

    Args:
        model: whose networks it measures.
        between: milliseconds of a network beside its layers.
        factor: of layers in a network, against layers alone.
    """

    place = Place("an engine 1.0", 1, 1, "fp32")

    def __init__(self, model, shape=SHAPE, between=0.0, factor=1.0, block=BLOCK):
        self.block, self.between, self.factor = block, between, factor
        self.analysis = analyse_model(model, PruneConfig(name="l1_norm", speedup=2.0), shape)
        self.calls = calls_of(model, self.analysis, "float32")
        self.measured, self.said = 0, []

    def layer(self, point: LayerPoint) -> float:
        shape = point.shape
        outputs = -(-point.outputs // self.block) * self.block
        inputs = 1 if shape.grouping == "depthwise" else point.inputs
        positions = np.prod(shape.output)
        return 1e-6 * (inputs * outputs * np.prod(shape.kernel or (1,)) * positions + 20 * outputs * positions)

    def layers(self, points):
        return {point: self.layer(point) for row in points for point in row}

    def of_shapes(self, shapes):
        total = self.between
        for call in self.calls:
            weight = shapes.get(call.weight, self.analysis.shapes[call.weight])
            inputs, outputs = weight[:2] if call.shape.linear else (weight[1], weight[0])
            total += self.factor * self.layer(LayerPoint(call.shape, inputs, outputs))
        return float(total)

    def of_widths(self, kept):
        groups = self.analysis.groups
        masks = [np.arange(group.prunable_channels) < count for group, count in zip(groups, kept)]
        slices = param_slices(groups, masks, self.analysis.shapes)
        return self.of_shapes({name: piece.kept_shape() for name, piece in slices.items()})

    def network(self, slices):
        self.measured += 1
        return self.of_shapes({}), self.of_shapes({n: piece.kept_shape() for n, piece in slices.params.items()})

    def say(self, text):
        self.said.append(text)


def chain(*widths):
    paddle.seed(1)
    layers = []
    for before, after in zip((3, *widths), widths):
        layers += [paddle.nn.Conv2D(before, after, 3, padding=1), paddle.nn.BatchNorm2D(after), paddle.nn.ReLU()]
    head = paddle.nn.Linear(widths[-1], 3)
    return paddle.nn.Sequential(*layers, paddle.nn.AdaptiveAvgPool2D(1), paddle.nn.Flatten(), head)


@pytest.mark.paddle26
@pytest.mark.parametrize("speedup", [1.5, 2.0, 3.0])
def test_a_speedup_is_met_by_widths_at_the_ends_of_blocks(speedup):
    model = chain(64, 96, 128)
    meter = FakeMeter(model, between=0.05, factor=1.2)
    plan = make_plan(model, PruneConfig(name="l1_norm", speedup=speedup), SHAPE, meter_of=lambda: meter)
    assert plan.latency is not None
    assert 0.95 * speedup <= plan.latency.dense / plan.latency.measured <= 1.1 * speedup
    # No width is chosen at which one channel more would cost nothing.
    kept = [len(decision.kept) for decision in plan.decisions]
    for group, decision in enumerate(plan.decisions):
        if len(decision.kept) < decision.prunable_channels:
            wider = [count + (number == group) for number, count in enumerate(kept)]
            assert meter.of_widths(wider) > meter.of_widths(kept)


def test_the_latency_of_a_network_is_that_of_its_layers():
    model = chain(64, 96, 128)
    meter = FakeMeter(model)
    analysis = meter.analysis
    cost = layer_times(analysis, model, "float32", meter).cost(1.0, 0.0)
    rng = np.random.default_rng(0)
    for _ in range(5):
        kept = [int(rng.integers(8, group.prunable_channels + 1)) for group in analysis.groups]
        assert cost.total(kept) == pytest.approx(meter.of_widths(kept), rel=0.06)


def test_the_search_in_time_is_close_to_exhaustive_search():
    model = chain(8, 12, 8)
    meter = FakeMeter(model, block=4)
    groups = meter.analysis.groups
    cost = layer_times(meter.analysis, model, "float32", meter).cost(1.0, 0.0)
    channels = [group.prunable_channels for group in groups]
    rng = np.random.default_rng(3)
    candidates = [candidate(group, rng.exponential(size=n), 0.0, 1) for group, n in zip(groups, channels)]

    def lost(widths):
        return sum(one.lost[count - width] for one, count, width in zip(candidates, channels, widths))

    for share in (0.7, 0.5, 0.35):
        budget = share * cost.total(channels)
        ranked = rank(candidates, channels, cost, budget, fill=True)
        assert ranked.cost <= budget
        best = min(
            lost(widths)
            for widths in itertools.product(*(range(1, count + 1) for count in channels))
            if cost.total(widths) <= budget
        )
        assert lost([int(mask.sum()) for mask in ranked.kept]) <= 1.15 * best


def test_steps_are_found_by_measuring():
    model = chain(64, 96, 128)
    meter = FakeMeter(model)
    shape = probed(meter.calls[1].shape)
    for axis, block in (("outputs", BLOCK), ("inputs", 1)):
        points = probe(shape, axis)
        step = staircase(shape, axis, {point: meter.layer(point) for point in points})
        widths = np.arange(1, 200)
        assert step(widths) == pytest.approx(-(-widths // block) * block, abs=1e-6)


def test_layers_are_measured_at_few_widths():
    assert knots(16) == [4, 8, 12, 16]
    assert knots(512) == [64, 128, 256, 384, 512]
    assert knots(116) == [16, 32, 64, 80, 116]


def test_kinds_of_layers_of_a_network_are_told_apart():
    model = backbone("MobileNetV3_small_x0_35")
    analysis = analyse_model(model, PruneConfig(name="l1_norm", pruned_flops=0.3), [3, 64, 64])
    calls = calls_of(model, analysis, "float32")
    assert [str(call.shape) for call in calls[:3]] == [
        "convolution 3x3, stride 2x2, hardswish, 64x64 to 32x32",
        "convolution 1x1, stride 1x1, relu, 32x32 to 32x32",
        "convolution 3x3, stride 2x2, depthwise, relu, 32x32 to 16x16",
    ]
    assert str(calls[-1].shape) == "linear, 1 rows"


def test_a_speedup_out_of_reach_says_how_far_it_goes_and_what_limits_it():
    model = chain(32, 32)
    meter = FakeMeter(model, between=1.0)
    with pytest.raises(SlimError) as error:
        make_plan(model, PruneConfig(name="l1_norm", speedup=4.0), SHAPE, meter_of=lambda: meter)
    assert "speedup 4 cannot be reached on an engine 1.0, 1 thread: all that can be pruned gives" in str(error.value)
    assert "% of the time is in what is not pruned" in str(error.value)
    assert "\n" not in str(error.value)


def test_milliseconds_that_the_dense_model_takes_already_are_refused():
    model = chain(32, 32)
    with pytest.raises(SlimError, match=r"latency_ms 100: the dense model takes .* already; remove Slim.prune"):
        make_plan(model, PruneConfig(latency_ms=100.0), SHAPE, meter_of=lambda: FakeMeter(model))


def test_milliseconds_are_met():
    model = chain(64, 64)
    meter = FakeMeter(model, between=0.2)
    asked = 0.6 * meter.of_shapes({})
    plan = make_plan(model, PruneConfig(name="fpgm", latency_ms=asked), SHAPE, meter_of=lambda: meter)
    assert plan.latency is not None
    assert plan.latency.measured <= 1.05 * asked
    again = Plan.from_json(json.loads(json.dumps(plan.to_json())))
    assert again.to_json() == plan.to_json()
    assert again.latency is not None
    assert sum(pruned for _, pruned in again.latency.layers.values()) < plan.latency.measured


def test_one_ratio_for_all_layers_meets_a_speedup_too():
    model = chain(64, 96)
    meter = FakeMeter(model)
    section = PruneConfig(name="fpgm", speedup=1.8, ranking="layer", align=1)
    plan = make_plan(model, section, SHAPE, meter_of=lambda: meter)
    assert plan.latency is not None
    assert plan.latency.dense / plan.latency.measured >= 0.95 * 1.8
    assert len({round(1 - len(d.kept) / d.prunable_channels, 1) for d in plan.decisions}) == 1


def test_without_a_meter_latency_is_refused():
    with pytest.raises(SlimError, match=r"speedup needs an engine to measure on; set pruned_flops"):
        make_plan(chain(8, 8), PruneConfig(speedup=2.0), SHAPE)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"speedup": 2.0, "pruned_ratio": 0.5}, "remove pruned_ratio and ratios, or speedup"),
        ({"speedup": 2.0, "latency_ms": 8.0}, "speedup and latency_ms are two budgets"),
        ({"pruned_flops": 0.5, "speedup": 2.0}, "pruned_flops and speedup are two budgets"),
        ({"speedup": 1.0}, "greater than 1"),
        ({"pruned_flops": 0.5, "on": {"engine": "onnx"}}, "set speedup or latency_ms, or remove it"),
        ({"speedup": 2.0, "on": {"engine": "openvin"}}, "did you mean 'openvino'"),
        ({"speedup": 2.0, "schedule": {"name": "soft"}}, "set pruned_ratio instead of speedup"),
    ],
)
def test_keys_that_do_not_go_together(keys, message):
    with pytest.raises(ValueError, match=message):
        PruneConfig(**keys)
