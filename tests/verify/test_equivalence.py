"""What is removed was found completely: the model without it equals the one in which it is masked."""

from __future__ import annotations

import numpy as np
import pytest

paddle = pytest.importorskip("paddle")

from paddle import nn  # noqa: E402

from ppcls_slim.prune.dependency import analyse  # noqa: E402
from ppcls_slim.verify.equivalence import check_equivalence, some_channels  # noqa: E402

FLOAT32 = 1e-5


def check(model: nn.Layer, ratio: float = 0.4, size: int = 16) -> object:
    """Analyse, compare, and return the grouping."""
    grouping = analyse(model, [3, size, size])
    images = np.random.default_rng(0).normal(size=(2, 3, size, size)).astype("float32")
    found = check_equivalence(model, grouping, some_channels(grouping, ratio), images)
    assert found.outputs > 0
    assert found.error < FLOAT32
    return grouping


class Residual(nn.Layer):
    """Two convolutions and a shortcut."""

    def __init__(self, channels: int = 8, groups: int = 1) -> None:
        super().__init__()
        self.stem = nn.Conv2D(3, channels, 3, padding=1)
        self.norm = nn.BatchNorm2D(channels)
        self.first = nn.Conv2D(channels, channels, 3, padding=1, groups=groups)
        self.second = nn.Conv2D(channels, channels, 1)
        self.pool = nn.AdaptiveAvgPool2D(1)
        self.fc = nn.Linear(channels, 5)

    def forward(self, x):
        x = nn.functional.relu(self.norm(self.stem(x)))
        x = x + self.second(nn.functional.relu(self.first(x)))
        return self.fc(paddle.flatten(self.pool(x), 1))


def test_what_is_added_goes_together():
    grouping = check(Residual())
    assert [group.root_weights for group in grouping.groups] == [("stem.weight",), ("first.weight",)]
    together = {f"{member.param}:{member.axis}" for member in grouping.groups[0].members}
    filters = {"stem.weight:0", "stem.bias:0", "second.weight:0", "second.bias:0"}
    norm = {"norm.weight:0", "norm.bias:0", "norm._mean:0", "norm._variance:0"}
    assert together == filters | norm | {"first.weight:1", "fc.weight:0"}
    assert not grouping.frozen


def test_a_group_of_a_grouped_convolution_is_one_prunable_channel():
    grouping = check(Residual(groups=4))
    (group,) = grouping.groups
    assert group.prunable_channels == 4
    assert group.grouped_layers == ("first",)
    assert group.member("first.weight").index.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    assert ("first.weight", 1) not in {(member.param, member.axis) for member in group.members}


def test_outputs_are_frozen():
    model = nn.Sequential(nn.Conv2D(3, 8, 3), nn.ReLU(), nn.Conv2D(8, 4, 3))
    grouping = check(model)
    assert grouping.frozen == {"2": "an output of the model"}
