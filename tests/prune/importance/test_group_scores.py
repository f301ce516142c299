"""The importance of a whole group, against what removing it does."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune import importance
from ppcls_slim.prune.analysis import analyse_model
from ppcls_slim.prune.apply import apply_slices, undo
from ppcls_slim.prune.importance.group_scores import group_scores
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.slices import plan_slices

pytestmark = pytest.mark.paddle26

SHAPE = [3, 8, 8]


class Residual(paddle.nn.Layer):
    """A residual addition, a depthwise convolution and a linear layer, each with channels of the same group."""

    def __init__(self):
        super().__init__()
        paddle.seed(3)
        self.stem = paddle.nn.Conv2D(3, 8, 3, padding=1, bias_attr=False)
        self.norm = paddle.nn.BatchNorm2D(8)
        self.depthwise = paddle.nn.Conv2D(8, 8, 3, padding=1, groups=8)
        self.inner = paddle.nn.Conv2D(8, 6, 1)
        self.back = paddle.nn.Conv2D(6, 8, 1)
        self.head = paddle.nn.Linear(8, 4)

    def forward(self, x):
        x = paddle.nn.functional.relu(self.norm(self.stem(x)))
        y = self.back(paddle.nn.functional.relu(self.inner(self.depthwise(x))))
        return self.head((x + y).mean([2, 3]))


@pytest.fixture(scope="module")
def model():
    network = Residual()
    rng = np.random.default_rng(5)
    for parameter in (p for p in network.parameters() if not p.stop_gradient):
        parameter.set_value(paddle.to_tensor(rng.normal(0.3, 0.4, parameter.shape).astype("float32")))
    network.eval()
    return network


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(6)
    images = [paddle.to_tensor(rng.normal(size=[16, *SHAPE]).astype("float32")) for _ in range(4)]
    batches = [(image, paddle.to_tensor(rng.integers(0, 4, [16, 1]))) for image in images]
    return importance.TrainingData(
        batches, lambda network, batch: paddle.nn.functional.cross_entropy(network(batch[0]), batch[1])
    )


def scores(model, name, data=None, aggregation="sum", normalization="none"):
    groups = analyse_model(model, PruneConfig(pruned_ratio=0.5), SHAPE).groups
    return groups, group_scores(model, importance.get(name), groups, aggregation, normalization, data)


def loss_without(model, groups, number, channel, data):
    """Mean loss where one channel is really removed."""
    kept = [np.ones(group.prunable_channels, dtype=bool) for group in groups]
    kept[number][channel] = False
    before = apply_slices(model, plan_slices(model, groups, kept))
    try:
        return [float(loss) for loss in data.losses(model)]
    finally:
        undo(before)


@pytest.mark.parametrize("name", ["taylor", "hessian"])
def test_importance_orders_channels_as_removing_them_does(model, data, name):
    groups, found = scores(model, name, data)
    assert {group.root_layer for group in groups} == {"stem", "inner"}
    dense = [float(loss) for loss in data.losses(model)]
    for number, (group, importances) in enumerate(zip(groups, found)):
        changes = [
            np.mean(np.square(np.subtract(loss_without(model, groups, number, channel, data), dense)))
            for channel in range(group.prunable_channels)
        ]
        ranks = [np.argsort(np.argsort(values)) for values in (importances, changes)]
        assert np.corrcoef(ranks)[0, 1] > 0.6, (group.root_layer, importances, changes)


def test_taylor_is_the_squared_first_order_change(model, data):
    """Of the filters of ``inner``, whose channel nothing else produces: their weights and their bias."""
    groups, found = scores(model, "taylor", data, aggregation="root")
    number = next(n for n, group in enumerate(groups) if group.root_layer == "inner")
    expected = np.zeros(6)
    for loss in data.losses(model):
        loss.backward()
        product = model.inner.weight.numpy() * model.inner.weight.grad.numpy()
        expected += product.reshape(6, -1).sum(axis=1).astype(np.float64) ** 2 / 4
    np.testing.assert_allclose(found[number], expected, rtol=1e-4)


def test_every_tensor_that_a_channel_touches_counts(model):
    groups, found = scores(model, "l1_norm", aggregation="sum")
    number = next(n for n, group in enumerate(groups) if group.root_layer == "stem")
    touched = {
        "stem.weight": 0, "norm.weight": 0, "norm.bias": 0, "depthwise.weight": 0, "depthwise.bias": 0,
        "inner.weight": 1, "back.weight": 0, "back.bias": 0, "head.weight": 0,
    }  # fmt: skip
    parameters = dict(model.named_parameters())
    expected = sum(
        np.abs(np.moveaxis(parameters[name].numpy(), axis, 0).reshape(8, -1)).mean(axis=1)
        for name, axis in touched.items()
    )
    np.testing.assert_allclose(found[number], expected, rtol=1e-5)


def test_aggregation_and_normalization_are_options(model):
    groups, totals = scores(model, "l1_norm", aggregation="sum")
    _, means = scores(model, "l1_norm", aggregation="mean")
    _, largest = scores(model, "l1_norm", aggregation="max")
    _, normalized = scores(model, "l1_norm", aggregation="mean", normalization="mean")
    number = next(n for n, group in enumerate(groups) if group.root_layer == "stem")
    np.testing.assert_allclose(totals[number], 9 * means[number])
    assert (largest[number] >= means[number]).all()
    assert normalized[number].mean() == pytest.approx(1.0)


def test_bn_scale_scores_scales_only_and_says_where_there_is_none(model):
    groups, found = scores(model, "bn_scale", aggregation="mean")
    by_layer = dict(zip((group.root_layer for group in groups), found))
    np.testing.assert_allclose(by_layer["stem"], np.abs(model.norm.weight.numpy()))
    assert by_layer["inner"] is None
    plan = make_plan(model, PruneConfig(name="bn_scale", pruned_flops=0.2), SHAPE)
    notes = {decision.root_weight: decision.note for decision in plan.decisions}
    assert notes["inner.weight"] == "no tensor of these channels has a score"


def test_gradients_that_are_not_finite_are_one_line(data):
    network = Residual()
    network.head.bias.set_value(paddle.full([4], float("nan")))
    with pytest.raises(SlimError, match=r"the gradient of .* is not finite on the training batches"):
        make_plan(network, PruneConfig(name="taylor", pruned_flops=0.3), SHAPE, data=data)
