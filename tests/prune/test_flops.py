"""One FLOP is one multiply-accumulate."""

from __future__ import annotations

import pytest
from small_models import two_convolutions

from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.flops import measure
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.pruner import prune

pytestmark = pytest.mark.paddle26


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
