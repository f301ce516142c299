"""Criteria that score training batches."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import two_convolutions

from ppcls_slim.common.errors import SlimError
from ppcls_slim.common.registry import Registry
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig, ScheduleConfig
from ppcls_slim.prune import importance
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.schedules.schedule import make_schedule

pytestmark = pytest.mark.paddle26

SHAPE = [3, 10, 10]


def first_order(model, data):
    """|weight x gradient|, summed over three batches."""
    total = {}
    for loss in data.losses(model, 3):
        loss.backward()
        trained = {name: p for name, p in model.named_parameters() if not p.stop_gradient}
        for name, parameter in trained.items():
            value = np.abs(parameter.numpy() * parameter.grad.numpy())
            total[name] = total.get(name, 0) + value
    return total


def filter_sums(values, rows=None):
    chosen = values if rows is None else values[rows]
    return chosen.reshape(len(chosen), -1).sum(axis=1)


@pytest.fixture
def taylor(monkeypatch):
    """A data-driven criterion of another package, named ``taylor_sum``."""

    class Point:
        value = "somewhere:TAYLOR"

        def load(self):
            return importance.Criterion("taylor_sum", filter_sums, measure=first_order)

    monkeypatch.setattr(Registry, "entry_points", lambda self: {"taylor_sum": Point()})
    return PruneConfig(name="taylor_sum", pruned_ratio=0.5, align=1)


@pytest.fixture
def data():
    paddle.seed(1)
    batches = [(paddle.randn([4, *SHAPE]), paddle.randint(0, 2, [4, 1])) for _ in range(5)]
    return importance.TrainingData(
        batches, lambda model, batch: paddle.nn.functional.cross_entropy(model(batch[0]), batch[1])
    )


def test_the_channels_with_the_smallest_weight_times_gradient_go(taylor, data):
    model = two_convolutions()
    scores = {name: filter_sums(value) for name, value in first_order(model, data).items()}
    plan = make_plan(model, taylor, SHAPE, data=data)
    assert len(plan.decisions) == 2
    for decision in plan.decisions:
        order = np.argsort(scores[decision.root_weight])
        assert sorted(decision.kept) == sorted(order[len(order) // 2 :].tolist())


def test_measuring_leaves_the_model_as_it_was(taylor, data):
    model = two_convolutions()
    model.train()
    before = {name: value.numpy() for name, value in model.state_dict().items()}
    make_plan(model, taylor, SHAPE, data=data)
    assert model.training
    assert all(np.array_equal(value.numpy(), before[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None or not p.grad.numpy().any() for p in model.parameters())


def test_where_there_are_no_batches_one_line_says_so(taylor):
    with pytest.raises(SlimError, match=r"taylor_sum scores training batches.*use one of fpgm, l1_norm, l2_norm"):
        make_plan(two_convolutions(), taylor, SHAPE)
    schedule = taylor.model_copy(update={"schedule": ScheduleConfig(name="masked")})
    with pytest.raises(SlimError, match=r"Slim\.prune\.schedule does not give"):
        make_schedule(two_convolutions(), schedule, SHAPE, "cpu", lambda _: {}).choose_and_zero(two_convolutions())
