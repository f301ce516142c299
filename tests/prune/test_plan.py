"""A plan is data: it can be written, read back, and applied to the model that it was made for only."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_models import two_convolutions

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.plan import Plan, apply_plan
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.pruner import prune
from ppcls_slim.prune.ranges import from_ranges, to_ranges

pytestmark = pytest.mark.paddle26


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
