"""FPGM of PaddleSlim on networks with grouped convolutions: what it chooses is what is chosen here.

In front of a grouped convolution PaddleSlim scores whole groups, by the mean over their filters, as is done here. It
then stops while it applies that (its mask of the convolution's input axis is ``groups`` times too long), and it would
remove filters of the grouped convolution itself one by one, which leaves groups of different size; here they go with
their group. Depthwise convolutions it prunes, and the result is the same.
"""

from __future__ import annotations

import logging

import numpy as np
import pytest

from ppcls_slim.compat.legacy_program import legacy_ir
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleslim import load_paddleslim
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.pruner import prune

pytestmark = pytest.mark.paddle26
SHAPE = [3, 12, 12]


def network(groups: int, seed: int, out: int = 16) -> paddle.nn.Layer:
    """conv (16) -> bn -> relu -> grouped conv -> bn -> relu -> conv (12) -> conv (4)."""
    paddle.seed(seed)
    nn = paddle.nn
    grouped = nn.Conv2D(16, out, 3, padding=1, groups=groups)
    return nn.Sequential(
        *(nn.Conv2D(3, 16, 3, padding=1), nn.BatchNorm2D(16), nn.ReLU()),
        *(grouped, nn.BatchNorm2D(out), nn.ReLU()),
        *(nn.Conv2D(out, 12, 1), nn.ReLU(), nn.Conv2D(12, 4, 1)),
    )


def paddleslim_pruner(model: paddle.nn.Layer):
    logging.getLogger("paddleslim").setLevel(logging.ERROR)
    with legacy_ir():
        return load_paddleslim().dygraph.FPGMFilterPruner(model, [1, *SHAPE])


def prune_with_paddleslim(model: paddle.nn.Layer, ratio: float) -> None:
    pruner = paddleslim_pruner(model)
    pruner.prune_vars({collection.master_name: ratio for collection in pruner.collections}, [0])


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("groups", [2, 4, 8])
@pytest.mark.parametrize("ratio", [0.3, 0.6])
def test_the_same_groups_are_chosen(groups, ratio, seed):
    model = network(groups, seed)
    pruner = paddleslim_pruner(model)
    collection = pruner.collections.find_collection_by_master(model[0].weight.name, 0)
    theirs = pruner.cal_mask(ratio, collection)
    plan = make_plan(model, PruneConfig(pruned_ratio=ratio, align=1), SHAPE)
    for name in ("0.weight", "3.weight"):
        kept = plan.slices.params[name].keep[0] if theirs.min() == 0 else range(16)
        np.testing.assert_array_equal(kept, np.flatnonzero(theirs))


def test_paddleslim_cannot_apply_what_it_chose():
    with pytest.raises(IndexError, match="boolean index did not match"):
        prune_with_paddleslim(network(4, 0), 0.5)


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("out", [16, 32], ids=["one filter each", "two filters each"])
@pytest.mark.parametrize("ratio", [0.3, 0.6])
def test_depthwise_convolutions_lose_the_same_filters(out, ratio, seed):
    theirs, ours = network(16, seed, out), network(16, seed, out)
    prune_with_paddleslim(theirs, ratio)
    prune(ours, make_plan(ours, PruneConfig(pruned_ratio=ratio, align=1), SHAPE))
    expected = theirs.state_dict()
    for name, tensor in ours.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), expected[name].numpy(), err_msg=name)
