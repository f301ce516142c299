"""Layers that few backbones have: channels that are shuffled, transposed convolutions, weights that are computed."""

from __future__ import annotations

import pytest

paddle = pytest.importorskip("paddle")

from networks import Net, channel_index, checked, root_weights  # noqa: E402
from paddle import nn  # noqa: E402
from paddle.nn import functional as F  # noqa: E402

pytestmark = pytest.mark.paddle26


def test_a_flip_of_channels_reverses_them():
    grouping = checked(Net(lambda net, x: paddle.flip(x, [1, 3]), 6))
    assert channel_index(grouping, "last.weight", 1) == channel_index(grouping, "stem.weight")[::-1]


def test_channels_that_roll_stay_and_rows_that_roll_do_not_matter():
    assert checked(Net(lambda net, x: paddle.roll(x, 2, axis=1), 6)).frozen == {"stem": "roll over channels"}
    assert not checked(Net(lambda net, x: paddle.roll(x, [2, -1], axis=[2, 3]), 6)).frozen


def test_pixel_shuffle_takes_its_channels_from_as_many_as_a_pixel_has():
    grouping = checked(Net(lambda net, x: F.pixel_shuffle(x, 2), 12, 3))
    assert channel_index(grouping, "stem.weight") == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]
    assert channel_index(grouping, "last.weight", 1) == [0, 1, 2]


def test_pixel_unshuffle_gives_every_channel_several_places():
    grouping = checked(Net(lambda net, x: F.pixel_unshuffle(x, 2), 3, 12))
    assert channel_index(grouping, "last.weight", 1) == [0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2]


def test_the_layer_that_shuffles_channels_ties_those_of_all_groups():
    grouping = checked(Net(lambda net, x: net.shuffle(x), 6, shuffle=nn.ChannelShuffle(2)))
    assert channel_index(grouping, "stem.weight") == [0, 1, 2, 0, 1, 2]
    assert channel_index(grouping, "last.weight", 1) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize(("groups", "out"), [(2, 16), (4, 4), (8, 8)], ids=["wider", "narrower", "depthwise"])
def test_a_group_of_a_grouped_transposed_convolution_is_one_prunable_channel(groups, out):
    up = nn.Conv2DTranspose(8, out, 3, padding=1, groups=groups)
    grouping = checked(Net(lambda net, x: net.up(x), 8, out, up=up), ratio=0.5)
    assert not grouping.frozen
    assert grouping.groups[0].grouped_layers == ("up",)
    assert channel_index(grouping, "up.weight") == [place * groups // 8 for place in range(8)]
    assert channel_index(grouping, "last.weight", 1) == [place * groups // out for place in range(out)]


def test_a_convolution_whose_weight_is_also_transposed_is_frozen():
    def middle(net, x):
        return F.conv2d_transpose(net.side(x), net.side.weight)

    shared = "its weight is shared by operations that read it in different directions"
    grouping = checked(Net(middle, 8, side=nn.Conv2D(8, 4, 1)))
    assert grouping.frozen == {"stem": shared, "side": shared}


@pytest.mark.parametrize(
    "back",
    [lambda x, weight: x @ weight.T, lambda x, weight: paddle.matmul(x, weight, transpose_y=True)],
    ids=["a transposed copy", "transpose_y"],
)
def test_a_linear_layer_whose_weight_is_also_transposed_is_frozen(back):
    def middle(net, x):
        gate = back(F.relu(net.side(F.adaptive_avg_pool2d(x, 1).flatten(1))), net.side.weight)
        return x + gate.reshape([x.shape[0], x.shape[1], 1, 1])

    grouping = checked(Net(middle, 8, side=nn.Linear(8, 4)))
    assert list(grouping.frozen) == ["stem"]


@pytest.mark.parametrize(
    "side",
    [
        lambda: nn.utils.weight_norm(nn.Conv2D(8, 8, 1)),
        lambda: nn.utils.weight_norm(nn.Conv2D(8, 8, 1), dim=None),
        lambda: nn.utils.spectral_norm(nn.Conv2D(8, 8, 1)),
    ],
    ids=["weight_norm", "weight_norm of the whole", "spectral_norm"],
)
def test_a_weight_that_is_computed_is_frozen(side):
    grouping = checked(Net(lambda net, x: net.side(x), 8, side=side()))
    assert grouping.frozen == {"stem": "a weight that is computed", "side": "a weight that is computed"}
    assert root_weights(grouping) == ["last.weight"]


def test_the_layer_that_normalizes_a_weight_given_to_it():
    def middle(net, x):
        return F.conv2d(x, net.normalized(net.side.weight))

    net = Net(middle, 8, side=nn.Conv2D(8, 8, 1), normalized=nn.SpectralNorm([8, 8, 1, 1]))
    assert checked(net).frozen == {"stem": "a weight that is computed", "side": "a weight that is computed"}


def test_einsum_is_frozen():
    grouping = checked(Net(lambda net, x: paddle.einsum("bchw,bdhw->bcd", x, x).sum(2).reshape([0, 8, 1, 1]) * x, 8))
    assert grouping.frozen["stem"].startswith("einsum has no rule")
