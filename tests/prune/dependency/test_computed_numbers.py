"""Numbers that code computes from how many channels there are: what they depend on keeps all of its channels."""

from __future__ import annotations

import numpy as np
import pytest

paddle = pytest.importorskip("paddle")

from networks import Net, checked, root_weights  # noqa: E402
from paddle import nn  # noqa: E402
from paddle.nn import functional as F  # noqa: E402

from ppcls_slim.prune.dependency.counts import COUNTED  # noqa: E402

pytestmark = pytest.mark.paddle26

COMPUTED = {
    "divided by a root": lambda net, x: x / x.shape[1] ** 0.5,
    "multiplied": lambda net, x: x * x.shape[1] ** -0.5,
    "added": lambda net, x: x + 1 / x.shape[1],
    "a tensor of one number": lambda net, x: x * paddle.to_tensor(x.shape[1] ** -0.5),
    "a tensor of several numbers": lambda net, x: x * paddle.to_tensor(np.float32([x.shape[1], 2])).sum(),
    "filled": lambda net, x: x * paddle.full([1], 0.1 * x.shape[1]),
    "a slope": lambda net, x: F.leaky_relu(x - 1, 1 / x.shape[1]),
    "a bound": lambda net, x: paddle.clip(x, 0, x.shape[1] / 20),
    "a window": lambda net, x: F.avg_pool2d(x, 2 * (x.shape[1] // 4) + 1, 1, padding=x.shape[1] // 4),
    "a place in a row": lambda net, x: x[:, :, :, x.shape[1] // 4 : x.shape[1] // 4 + 4],
    "while the model runs": lambda net, x: x / paddle.shape(x)[1].astype("float32") ** 0.5,
    "all elements": lambda net, x: x / paddle.numel(x).astype("float32"),
}


@pytest.mark.parametrize("middle", COMPUTED.values(), ids=list(COMPUTED))
def test_what_it_depends_on_is_frozen_and_the_rest_is_not(middle):
    grouping = checked(Net(middle, 8))
    assert list(grouping.frozen) == ["stem"]
    assert grouping.frozen["stem"].startswith(COUNTED)
    assert root_weights(grouping) == ["last.weight"]


def test_only_the_group_that_is_counted_is_frozen():
    def middle(net, x):
        return net.side(x) * x.shape[1] ** -0.5

    grouping = checked(Net(middle, 8, 6, side=nn.Conv2D(8, 6, 1)))
    assert list(grouping.frozen) == ["stem"]
    assert root_weights(grouping) == ["side.weight", "last.weight"]


def test_a_number_that_two_groups_decide_freezes_both():
    def middle(net, x):
        side = net.side(x)
        return side * (x.shape[1] * side.shape[1]) ** -0.5

    assert set(checked(Net(middle, 8, 6, side=nn.Conv2D(8, 6, 1))).frozen) == {"stem", "side"}


def test_a_number_that_is_computed_in_evaluation_only():
    def middle(net, x):
        return x * (0.5 if net.training else x.shape[1] ** -0.5)

    assert list(checked(Net(middle, 8)).frozen) == ["stem"]


def test_a_size_that_follows_and_is_computed_with():
    def middle(net, x):
        return x.reshape([-1, net.width, 64]).reshape([-1, net.width, 8, 8]) * net.width**-0.5

    assert list(checked(Net(middle, 8)).frozen) == ["stem"]


def test_a_number_of_the_constructor_stays():
    class Attention(nn.Layer):
        """One head; its scale is computed from the width when it is made."""

        def __init__(self, width):
            super().__init__()
            self.qkv, self.scale = nn.Conv2D(width, 3 * 4, 1), width**-0.5

        def forward(self, x):
            q, k, v = self.qkv(x).flatten(2).split(3, axis=1)
            weights = F.softmax(q.transpose([0, 2, 1]) @ k * self.scale)
            return (v @ weights.transpose([0, 2, 1])).reshape([0, 4, 8, 8])

    grouping = checked(Net(lambda net, x: net.attention(x), 8, 4, attention=Attention(8)))
    assert root_weights(grouping) == ["stem.weight", "last.weight"]


@pytest.mark.parametrize(
    "middle",
    [
        lambda net, x: x + 0 * paddle.rand([paddle.shape(x)[0], 1, 1, 1]),
        lambda net, x: x.reshape([0, x.shape[1] // 2, -1]).reshape([0, x.shape[1], 8, 8]),
        lambda net, x: paddle.concat([x[:, : x.shape[1] // 2]] * 2, axis=1),
    ],
    ids=["the number of images", "sizes of a reshape", "the end of a slice"],
)
def test_sizes_are_not_numbers(middle):
    assert not checked(Net(middle, 8)).frozen
