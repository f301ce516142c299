"""Whole models: the same channels go as with PaddleSlim's pruner, and the pruned models run."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from small_models import backbone

from ppcls_slim.compat.legacy_program import legacy_ir
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleslim import load_paddleslim
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.plan import Plan
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.pruner import prune

pytestmark = pytest.mark.paddle26
PRUNERS = {"fpgm": "FPGMFilterPruner", "l1_norm": "L1NormFilterPruner", "l2_norm": "L2NormFilterPruner"}


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
