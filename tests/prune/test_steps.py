"""``Slim.prune.steps``: every step scores what is left, and its plan says what is left of the dense network."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_models import backbone, two_convolutions
from test_latency import SHAPE as SMALL
from test_latency import FakeMeter, chain

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.graph.model import shapes_of
from ppcls_slim.prune import importance
from ppcls_slim.prune.analysis import analyse_model
from ppcls_slim.prune.importance import TrainingData
from ppcls_slim.prune.plan import Plan
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.pruner import prune, prune_further
from ppcls_slim.prune.remaining import Earlier, Remaining
from ppcls_slim.prune.step import Step
from ppcls_slim.zoo.cifar_resnet import CifarResNet

pytestmark = pytest.mark.paddle26
SHAPE = [3, 32, 32]


def pruned_in_steps(build, config, steps, shape, between=lambda model, number: None, **keys):
    """Prune step after step as trainings do; return the model and all plans."""
    model, plans, earlier = build(), [], None
    for number in range(1, steps + 1):
        dense = model if earlier is None else build()
        plan = make_plan(dense, config, shape, step=Step(number, steps), earlier=earlier, **keys)
        plan = Plan.from_json(json.loads(json.dumps(plan.to_json())))
        if earlier is None:
            prune(model, plan)
        else:
            prune_further(model, plans[-1], plan)
        plans.append(plan)
        between(model, number)
        earlier = Earlier(model, plan)
    return model, plans


def kept(plan):
    return [set(decision.kept) for decision in plan.decisions]


class Branches(paddle.nn.Layer):
    """A depthwise convolution, a concatenation and a convolution with groups behind it."""

    def __init__(self):
        super().__init__()
        self.stem = paddle.nn.Sequential(paddle.nn.Conv2D(3, 16, 3), paddle.nn.BatchNorm2D(16), paddle.nn.ReLU())
        self.depthwise = paddle.nn.Conv2D(16, 16, 3, padding=1, groups=16)
        self.pointwise = paddle.nn.Conv2D(16, 12, 1)
        self.other = paddle.nn.Conv2D(16, 8, 3, padding=1)
        self.grouped = paddle.nn.Conv2D(20, 40, 3, groups=10)
        self.head = paddle.nn.Linear(40, 4)

    def forward(self, images):
        features = self.stem(images)
        both = paddle.concat([self.pointwise(self.depthwise(features)), self.other(features)], axis=1)
        return self.head(paddle.nn.functional.relu(self.grouped(both)).mean(axis=[2, 3]))


OWN = {"CifarResNet8": lambda: CifarResNet(8), "Branches": Branches}


def of_trained_weights(name):
    """A backbone whose weights are the same whenever it is built."""

    def build():
        model, random = OWN[name]() if name in OWN else backbone(name), np.random.default_rng(0)
        for tensor in model.state_dict().values():
            if "float" in str(tensor.dtype):
                tensor.set_value(random.uniform(0.1, 1.0, tensor.shape).astype(np.float32))
        return model

    return build


@pytest.mark.parametrize(
    ("name", "section"),
    [
        ("CifarResNet8", {"name": "l1_norm", "pruned_ratio": 0.5}),
        ("Branches", {"name": "l2_norm", "pruned_flops": 0.4, "ranking": "global", "keep_at_least": 0.3}),
        ("Branches", {"name": "fpgm", "pruned_ratio": 0.5}),
        *(
            pytest.param(name, {"name": "l2_norm", "pruned_ratio": 0.5}, marks=pytest.mark.slow)
            for name in (
                "MobileNetV1_x0_25",
                "MobileNetV3_small_x0_35",
                "ESNet_x0_25",
                "ShuffleNetV2_x0_25",
                "DenseNet121",
            )
        ),
        pytest.param("SE_ResNet18_vd", {"name": "fpgm", "pruned_parameters": 0.4}, marks=pytest.mark.slow),
    ],
)
def test_a_network_pruned_in_steps_is_the_one_that_the_last_plan_makes(name, section):
    build, config = of_trained_weights(name), PruneConfig(**section)
    model, plans = pruned_in_steps(build, config, 2, SHAPE)
    at_once = build()
    prune(at_once, plans[-1])
    assert shapes_of(model) == shapes_of(at_once)
    for parameter, value in at_once.state_dict().items():
        np.testing.assert_array_equal(model.state_dict()[parameter].numpy(), value.numpy(), err_msg=parameter)
    images = paddle.ones([1, *SHAPE])
    for one in (model, at_once):
        one.eval()
    np.testing.assert_array_equal(model(images).numpy(), at_once(images).numpy())
    for before, after in zip(plans, plans[1:]):
        assert all(later <= earlier for earlier, later in zip(kept(before), kept(after)))
        assert after.flops["dense"] == before.flops["dense"]
    for number, plan in enumerate(plans, 1):
        least = section.get("keep_at_least", 0.0)  # of the dense network's channels
        assert all(len(one.kept) >= least * one.prunable_channels for one in plan.decisions)
        if config.pruned_ratio is not None:  # as many channels as a plan of that ratio keeps
            whole = make_plan(build(), PruneConfig(**{**section, "pruned_ratio": 0.5 * number / 2}), SHAPE)
            assert [len(one.kept) for one in plan.decisions] == [len(one.kept) for one in whole.decisions]


@pytest.mark.parametrize("ranking", ["layer", "global", "isomorphic"])
def test_a_budget_is_met_in_equal_parts_of_the_dense_network(ranking):
    config = PruneConfig(name="l1_norm", pruned_flops=0.6, ranking=ranking)
    _, plans = pruned_in_steps(of_trained_weights("CifarResNet8"), config, 3, SHAPE)
    at_once = make_plan(of_trained_weights("CifarResNet8")(), config, SHAPE)
    one_channel = 0.03  # of the FLOPs, at most
    for asked, plan in zip([0.2, 0.4, 0.6, 0.6], [*plans, at_once]):
        assert 0.0 <= plan.pruned_flops - asked <= one_channel


def test_channels_are_scored_by_the_weights_that_were_trained_between():
    def trained(model, number):
        """Make the first channel that is left the least important one."""
        weight = model.sublayers()[0].weight
        values = weight.numpy()
        values[0] = 1e-4
        weight.set_value(values)

    build, config = two_convolutions, PruneConfig(name="l1_norm", pruned_ratio=0.5, align=1)
    _, before = pruned_in_steps(build, config, 4, [3, 10, 10])
    _, plans = pruned_in_steps(build, config, 4, [3, 10, 10], trained)
    assert kept(plans[0]) == kept(before[0])
    for one, following in zip(plans, plans[1:]):
        assert min(one.decisions[0].kept) not in following.decisions[0].kept
    assert [len(plan.decisions[0].kept) for plan in plans] == [7, 6, 5, 4]


def test_what_cannot_be_reached_in_the_end_is_said_in_the_first_step():
    config = PruneConfig(name="l1_norm", pruned_flops=0.98, ranking="global")
    with pytest.raises(SlimError, match=r"pruned_flops 0\.98 cannot be reached"):
        make_plan(two_convolutions(), config, [3, 10, 10], step=Step(1, 4))


def test_a_first_step_that_rounds_to_nothing_waits_for_the_next():
    config = PruneConfig(name="l1_norm", pruned_ratio=0.2, align=1)
    _, plans = pruned_in_steps(two_convolutions, config, 4, [3, 10, 10])
    assert [len(plan.decisions[0].kept) for plan in plans] == [8, 7, 7, 6]
    assert not plans[0].slices.params


@pytest.mark.parametrize("asked", [{"speedup": 2.0}, {"latency_ms": 0.5}])
def test_milliseconds_are_saved_in_equal_parts(asked):
    def build():
        return chain(64, 96, 128)

    meter = FakeMeter(build(), between=0.05, factor=1.2)
    dense = meter.of_shapes({})
    if "latency_ms" in asked:
        asked = {"latency_ms": 0.5 * dense}
    config = PruneConfig(name="l1_norm", **asked)
    _, plans = pruned_in_steps(build, config, 2, SMALL, meter_of=lambda: meter)
    assert [plan.latency.target / dense for plan in plans] == pytest.approx([0.75, 0.5])
    for plan in plans:
        assert 0.9 * plan.latency.target <= plan.latency.measured <= 1.05 * plan.latency.target


def test_the_plan_of_another_network_is_refused():
    config = PruneConfig(name="l1_norm", pruned_ratio=0.5, align=1)
    plan = make_plan(chain(8, 8), config, SMALL)
    model = two_convolutions()
    with pytest.raises(SlimError, match=r"^Slim\.prune\.steps: the plan of the step before has other groups"):
        Remaining.of(model, analyse_model(model, config, SMALL).groups, Earlier(model, plan))


def test_batches_are_scored_once_however_many_budgets_are_tried(monkeypatch):
    """``ranking: layer`` with a latency tries several budgets, and a first step of several two."""
    counted = []
    losses = TrainingData.losses
    monkeypatch.setattr(TrainingData, "losses", lambda *args: counted.append(1) or losses(*args))
    batches = [(paddle.randn([2, *SMALL]), paddle.zeros([2, 1], "int64"))] * 2
    data = importance.TrainingData(
        batches, lambda model, batch: paddle.nn.functional.cross_entropy(model(batch[0]), batch[1])
    )
    model = chain(32, 32)
    meter = FakeMeter(model, between=0.01)
    config = PruneConfig(name="taylor", speedup=1.5, ranking="layer")
    make_plan(model, config, SMALL, data=data, meter_of=lambda: meter, step=Step(1, 2))
    assert meter.measured > 3
    assert counted == [1]
