"""Criteria that score training batches."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import two_convolutions

from ppcls_slim.common.errors import SlimError
from ppcls_slim.common.registry import Registry
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import ImportanceConfig, PruneConfig, ScheduleConfig
from ppcls_slim.prune import importance
from ppcls_slim.prune.importance.gradients import mean_over_batches
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.schedules.schedule import make_schedule

pytestmark = pytest.mark.paddle26

SHAPE = [3, 10, 10]


def first_order(model, data, members):
    """|weight x gradient|, summed over the elements of a channel and averaged over batches."""
    return mean_over_batches(model, data, members, lambda weight, gradient: (weight * gradient).abs())


@pytest.fixture
def other_package(monkeypatch):
    """A data-driven criterion of another package, named ``taylor_sum``."""

    class Point:
        value = "somewhere:TAYLOR"

        def load(self):
            return importance.Criterion("taylor_sum", measure=first_order, needs_batches=True)

    monkeypatch.setattr(Registry, "entry_points", lambda self: {"taylor_sum": Point()})
    return PruneConfig(name="taylor_sum", pruned_ratio=0.5, align=1, importance=ImportanceConfig(batches=3))


@pytest.fixture
def data():
    paddle.seed(1)
    batches = [(paddle.randn([4, *SHAPE]), paddle.randint(0, 2, [4, 1])) for _ in range(5)]
    return importance.TrainingData(
        batches, lambda model, batch: paddle.nn.functional.cross_entropy(model(batch[0]), batch[1])
    )


def test_the_channels_with_the_smallest_weight_times_gradient_go(other_package, data):
    model = two_convolutions()
    totals = dict.fromkeys(("0.weight", "3.weight"), 0.0)
    for loss in data.losses(model, 3):
        loss.backward()
        for name, parameter in model.named_parameters():
            if name in totals:
                product = np.abs(parameter.numpy() * parameter.grad.numpy())
                totals[name] = totals[name] + product.reshape(len(product), -1).sum(axis=1)
    plan = make_plan(model, other_package, SHAPE, data=data)
    assert plan.decisions
    for decision in plan.decisions:
        order = np.argsort(totals[decision.root_weight])
        assert sorted(decision.kept) == sorted(order[len(order) // 2 :].tolist())


def test_measuring_leaves_the_model_as_it_was(other_package, data):
    model = two_convolutions()
    model.train()
    before = {name: value.numpy() for name, value in model.state_dict().items()}
    make_plan(model, other_package, SHAPE, data=data)
    assert model.training
    assert all(np.array_equal(value.numpy(), before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None or not p.grad.numpy().any() for p in model.parameters())


def test_where_there_are_no_batches_one_line_says_so(other_package):
    with pytest.raises(
        SlimError,
        match=r"taylor_sum scores training batches.*use one of bn_scale, fpgm, l1_norm, l2_norm, random there",
    ):
        make_plan(two_convolutions(), other_package, SHAPE)
    schedule = other_package.model_copy(update={"schedule": ScheduleConfig(name="masked")})
    with pytest.raises(SlimError, match=r"Slim\.prune\.schedule does not give"):
        make_schedule(two_convolutions(), schedule, SHAPE, "cpu", lambda _: {}).choose_and_zero(two_convolutions())
