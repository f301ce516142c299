"""One network for each thing that code does to channels: understood and checked, or frozen with a reason."""

from __future__ import annotations

import numpy as np
import pytest

paddle = pytest.importorskip("paddle")

from networks import Net, Pick, channel_index, checked, root_weights  # noqa: E402
from paddle import nn  # noqa: E402
from paddle.nn import functional as F  # noqa: E402

from ppcls_slim.prune.dependency import analyse, find_groups  # noqa: E402
from ppcls_slim.verify.equivalence import remove  # noqa: E402


def test_concat_keeps_its_parts_apart():
    def middle(net, x):
        return paddle.concat([x, net.side(x)], axis=1)

    grouping = checked(Net(middle, 4, 7, side=nn.Conv2D(4, 3, 1)))
    assert root_weights(grouping) == ["stem.weight", "side.weight", "last.weight"]
    inputs = [group.member("last.weight", 1).index.tolist() for group in grouping.groups[:2]]
    assert inputs == [[0, 1, 2, 3, -1, -1, -1], [-1, -1, -1, -1, 0, 1, 2]]


def test_concat_added_to_something_wider_has_two_root_weights():
    def middle(net, x):
        return paddle.concat([x, net.side(x)], axis=1) + net.wide(x)

    grouping = checked(Net(middle, 4, 7, side=nn.Conv2D(4, 3, 1), wide=nn.Conv2D(4, 7, 1)))
    assert grouping.groups[0].root_weights == ("stem.weight", "side.weight")
    assert grouping.groups[0].prunable_channels == 7


def test_equal_parts_stay_equal():
    def middle(net, x):
        return sum(paddle.split(x, 2, axis=1))

    grouping = checked(Net(middle, 8, 4))
    assert channel_index(grouping, "stem.weight") == [0, 1, 2, 3, 0, 1, 2, 3]


@pytest.mark.parametrize("half", [lambda x: x.shape[1] // 2, lambda x: 4], ids=["measured", "literal"])
def test_a_cut_in_the_middle(half):
    def middle(net, x):
        return paddle.concat([x[:, : half(x)], net.side(x[:, half(x) :])], axis=1)

    grouping = checked(Net(middle, 8, side=nn.Conv2D(4, 4, 1)))
    if half(paddle.zeros([1, 16])) == 8:  # where half of the size is taken, two channels go at a time
        assert channel_index(grouping, "stem.weight") == [0, 1, 2, 3, 0, 1, 2, 3]
    else:  # where 4 is written, what comes before stays
        assert channel_index(grouping, "stem.weight") == [-1, -1, -1, -1, 0, 1, 2, 3]


def test_channel_shuffle():
    def middle(net, x):
        n, c, h, w = x.shape
        x = x.reshape([n, 2, c // 2, h, w]).transpose([0, 2, 1, 3, 4]).reshape([n, c, h, w])
        return net.depthwise(x)

    grouping = checked(Net(middle, 8, depthwise=nn.Conv2D(8, 8, 3, padding=1, groups=8)))
    assert channel_index(grouping, "stem.weight") == [0, 1, 2, 3, 0, 1, 2, 3]
    assert channel_index(grouping, "depthwise.weight") == [0, 0, 1, 1, 2, 2, 3, 3]
    assert grouping.groups[0].grouped_layers == ("depthwise",)


def test_groups_that_a_shuffle_ties_keep_their_number_and_lose_the_same_filters():
    def middle(net, x):
        x = net.first(x)
        n, c, h, w = x.shape
        return net.second(x.reshape([n, 2, c // 2, h, w]).transpose([0, 2, 1, 3, 4]).reshape([n, c, h, w]))

    grouped = {name: nn.Conv2D(8, 8, 1, groups=2) for name in ("first", "second")}
    grouping = checked(Net(middle, 8, **grouped))
    assert not grouping.frozen
    # The shuffle ties 0 to 4, 1 to 5, … and puts them side by side; the second convolution ties 0 to 4, too.
    assert channel_index(grouping, "first.weight") == [0, 1, 0, 1, 0, 1, 0, 1]
    assert channel_index(grouping, "second.weight", 1) == [0, 0, 1, 1]
    assert (
        channel_index(grouping, "stem.weight") == channel_index(grouping, "second.weight") == [0, 1, 2, 3, 0, 1, 2, 3]
    )
    assert not any(group.grouped_layers for group in grouping.groups)


def test_what_is_a_single_channel_says_so_whatever_else_freezes_it():
    grouping = checked(Net(lambda net, x: x + net.pick(x), 6, pick=Pick([1, 2, 3, 4, 5, 0])))
    assert grouping.frozen == {"stem": "a single channel: all of its filters are tied to each other"}
    both = checked(Net(lambda net, x: paddle.cumsum(x + net.pick(x), axis=1), 6, pick=Pick([1, 2, 3, 4, 5, 0])))
    assert both.frozen == {"stem": "a single channel: all of its filters are tied to each other; cumsum has no rule"}


def test_squeeze_and_excitation():
    def middle(net, x):
        scale = F.sigmoid(net.up(F.relu(net.down(F.adaptive_avg_pool2d(x, 1).flatten(1)))))
        return x * scale.reshape([x.shape[0], x.shape[1], 1, 1])

    grouping = checked(Net(middle, 8, down=nn.Linear(8, 2), up=nn.Linear(2, 8)))
    assert channel_index(grouping, "up.weight", 1) == channel_index(grouping, "stem.weight") == list(range(8))


def test_a_size_in_an_attribute_follows():
    def middle(net, x):
        return x.reshape([-1, net.width, 8 * 8]).reshape([-1, net.width, 8, 8])

    grouping = checked(Net(middle, 8))
    (size,) = grouping.groups[0].sizes
    assert (size.layer, size.attribute, size.index.tolist()) == ("", "width", list(range(8)))


def test_a_size_that_is_a_literal_is_frozen():
    grouping = checked(Net(lambda net, x: x.reshape([-1, 8, 64]).reshape([-1, 8, 8, 8]), 8, 8))
    # The attribute has the same value, but the code does not read it.
    assert grouping.frozen == {"stem": "sizes written in the code (reshape)"}


def test_a_size_that_is_computed_is_frozen_and_the_rest_is_not():
    def middle(net, x):
        batch = paddle.to_tensor(x.shape[0], "int32")
        return net.side(x.reshape([batch, 64, 8]).reshape([batch, 8, 8, 8]))

    grouping = checked(Net(middle, 8, side=nn.Conv2D(8, 8, 1)))
    assert grouping.frozen == {"stem": "reshape with sizes that cannot be followed"}
    assert root_weights(grouping) == ["side.weight", "last.weight"]


def test_where_nothing_can_go_nothing_is_tried(monkeypatch):
    monkeypatch.setattr(find_groups, "disagreements", lambda *args: pytest.fail("the model was recorded again"))
    grouping = analyse(nn.Sequential(nn.Conv2D(3, 8, 3)), [3, 8, 8])
    assert (grouping.groups, grouping.frozen) == ((), {"0": "an output of the model"})


def test_flatten_of_feature_maps():
    net = nn.Sequential(nn.Conv2D(3, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 36, 5))
    assert channel_index(checked(net), "3.weight", 0) == np.repeat(range(4), 36).tolist()


@pytest.mark.parametrize("pad", ["channels", "all"])
def test_a_shortcut_that_is_padded_with_zeros(pad):
    def middle(net, x):
        short = x[:, :, ::2, ::2]
        if pad == "all":
            short = F.pad(short, [0, 0, 2, 2, 0, 0, 0, 0])
        else:
            short = F.pad(short.unsqueeze(1), [0, 0, 0, 0, 2, 2], data_format="NCDHW").squeeze(1)
        return short + net.wide(x)

    grouping = checked(Net(middle, 4, 8, wide=nn.Conv2D(4, 8, 3, stride=2, padding=1)))
    assert channel_index(grouping, "wide.weight") == [-1, -1, 0, 1, 2, 3, -1, -1]


def test_layer_norm_over_channels_is_frozen():
    def middle(net, x):
        return net.norm(x.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])

    grouping = checked(Net(middle, 8, norm=nn.LayerNorm(8)))
    assert grouping.frozen == {"stem": "layer_norm over channels"}


def test_layer_scale_goes_with_its_channels():
    class Scale(nn.Layer):
        def __init__(self):
            super().__init__()
            self.gamma = self.create_parameter([8, 1, 1])

        def forward(self, x):
            return self.gamma * x

    grouping = checked(Net(lambda net, x: net.scale(x), 8, scale=Scale()))
    assert channel_index(grouping, "scale.gamma") == list(range(8))


def test_a_constant_after_the_activation_is_masked_where_it_is_read():
    grouping = checked(Net(lambda net, x: F.sigmoid(x) + 1, 8))
    assert root_weights(grouping) == ["stem.weight", "last.weight"]
    assert grouping.groups[0].member("last.weight", 1).produces


def test_shared_weights_tie_both_uses():
    grouping = checked(Net(lambda net, x: net.twice(net.twice(x)), 8, twice=nn.Conv2D(8, 8, 1)))
    assert root_weights(grouping) == ["stem.weight", "last.weight"]
    assert channel_index(grouping, "twice.weight", 0) == channel_index(grouping, "twice.weight", 1) == list(range(8))


@pytest.mark.parametrize("how", [paddle.index_select, paddle.gather])
@pytest.mark.parametrize("positions", [[3, 1, 0, 2], [0, 0, 3, 1, 2, 2, 1], [2, 1]], ids=["all", "twice", "some"])
def test_positions_are_renumbered(how, positions):
    net = Net(lambda net, x: net.pick(x), 4, len(positions), pick=Pick(positions, how))
    grouping = checked(net)
    assert channel_index(grouping, "stem.weight") == [0, 1, 2, 3]
    assert channel_index(grouping, "last.weight", 1) == channel_index(grouping, "pick.positions") == positions
    (index_buffer,) = grouping.groups[0].index_buffers
    assert (index_buffer.param, index_buffer.index.tolist()) == ("pick.positions", [0, 1, 2, 3])
    remove(net, grouping, [[1], []])
    assert net.pick.positions.tolist() == [p - (p > 1) for p in positions if p != 1]


def test_a_permutation_that_is_added_closes_over_its_cycles():
    grouping = checked(Net(lambda net, x: x + net.pick(x), 6, pick=Pick([1, 2, 0, 4, 3, 5])))
    assert channel_index(grouping, "stem.weight") == [0, 0, 0, 1, 1, 2]


def test_picked_from_a_concatenation():
    def middle(net, x):
        return net.pick(paddle.concat([x, net.side(x)], axis=1))

    grouping = checked(Net(middle, 4, 3, side=nn.Conv2D(4, 3, 1), pick=Pick([5, 0, 6])))
    assert [group.index_buffers[0].index.tolist() for group in grouping.groups[:2]] == [
        [0, 1, 2, 3, -1, -1, -1],
        [-1, -1, -1, -1, 0, 1, 2],
    ]


def test_two_tensors_that_share_positions_go_together():
    def middle(net, x):
        return paddle.concat([net.pick(x), net.pick(net.side(x))], axis=1)

    pick = Pick([3, 1, 0, 2])
    grouping = checked(Net(middle, 4, 8, side=nn.Conv2D(4, 4, 1), pick=pick))
    assert channel_index(grouping, "stem.weight") == channel_index(grouping, "side.weight") == [0, 1, 2, 3]
    wider = Net(middle, 4, 8, side=nn.Conv2D(4, 5, 1), pick=pick)
    assert set(checked(wider).frozen.values()) == {"picked by positions that others are picked by"}


def test_positions_that_are_literals_are_frozen():
    grouping = checked(Net(lambda net, x: paddle.index_select(x, paddle.to_tensor([3, 1, 0, 2]), axis=1), 4))
    assert grouping.frozen == {"stem": "positions written in the code (index_select)"}


def test_rows_are_picked_without_touching_channels():
    pick = Pick([2, 0], lambda x, positions, axis: paddle.index_select(x, positions, axis=2))
    grouping = checked(Net(lambda net, x: net.pick(x), 4, pick=pick))
    assert channel_index(grouping, "last.weight", 1) == [0, 1, 2, 3]


def test_every_output_of_several_is_frozen():
    class Heads(nn.Layer):
        def __init__(self):
            super().__init__()
            self.stem, self.one, self.two = nn.Conv2D(3, 8, 3), nn.Conv2D(8, 4, 1), nn.Conv2D(8, 2, 1)

        def forward(self, x):
            x = self.stem(x)
            return {"features": self.one(x), "logits": [self.two(x)]}

    grouping = checked(Heads())
    assert root_weights(grouping) == ["stem.weight"]
    assert grouping.frozen == dict.fromkeys(["one", "two"], "an output of the model")


def test_an_operation_without_a_rule_freezes():
    grouping = checked(Net(lambda net, x: paddle.cumsum(x, axis=1), 8))
    assert grouping.frozen == {"stem": "cumsum has no rule"}


def test_a_model_that_cannot_run_is_frozen():
    grouping = analyse(Net(lambda net, x: net.missing(x), 8), [3, 8, 8])
    assert set(grouping.frozen) == {"stem", "last"}
    assert "could not be recorded: AttributeError" in grouping.frozen["stem"]


def test_the_model_is_left_as_it_was():
    net = Net(lambda net, x: net.depthwise(x), 8, depthwise=nn.Conv2D(8, 8, 3, padding=1, groups=8))
    net.eval()
    before = {name: tensor.numpy() for name, tensor in net.state_dict().items()}
    analyse(net, [3, 8, 8])
    assert not net.training
    assert net.depthwise._groups == 8
    assert paddle.in_dynamic_mode()
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])
    assert net(paddle.zeros([1, 3, 8, 8])).shape == [1, 5]


def test_a_shortcut_added_to_the_first_channels_in_place():
    class Widened(nn.Layer):
        """The input is added to the first channels of a wider result, as in ReXNet."""

        def __init__(self, into, out):
            super().__init__()
            self.conv, self.in_channels = nn.Conv2D(into, out, 1), into

        def forward(self, x):
            out = self.conv(x)
            out[:, 0 : self.in_channels] += x
            return out

    class Two(nn.Layer):
        def __init__(self):
            super().__init__()
            self.stem, self.one, self.two = nn.Conv2D(3, 27, 1), Widened(27, 38), Widened(38, 50)
            self.fc = nn.Linear(50, 4)

        def forward(self, x):
            return self.fc(F.adaptive_avg_pool2d(self.two(self.one(self.stem(x))), 1).flatten(1))

    assert not checked(Two()).frozen
