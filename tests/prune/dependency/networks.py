"""Small networks for the analysis, and the check that every one of them has to pass."""

from __future__ import annotations

import numpy as np
import paddle
from paddle import nn
from paddle.nn import functional as F

from ppcls_slim.prune.dependency import analyse
from ppcls_slim.verify.equivalence import check_equivalence, some_channels

FLOAT32 = 1e-5


class Net(nn.Layer):
    """A stem, whatever a test does in ``middle``, one more convolution, and a classifier."""

    def __init__(self, middle, channels: int, out: int = 0, **layers: nn.Layer) -> None:
        super().__init__()
        self.stem = nn.Conv2D(3, channels, 3, padding=1)
        for name, layer in layers.items():
            setattr(self, name, layer)
        self.last = nn.Conv2D(out or channels, 6, 1)
        self.fc = nn.Linear(6, 5)
        self.middle = middle
        self.width = channels

    def forward(self, x):
        x = self.last(self.middle(self, F.relu(self.stem(x))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


def checked(net: nn.Layer, ratio: float = 0.4, size: int = 8):
    grouping = analyse(net, [3, size, size])
    images = np.random.default_rng(0).normal(size=(2, 3, size, size)).astype("float32")
    for seed in range(3):
        found = check_equivalence(net, grouping, some_channels(grouping, ratio, seed), images)
        assert found.error < FLOAT32 < found.effect
    return grouping


def root_weights(grouping) -> list[str]:
    return [name for group in grouping.groups for name in group.root_weights]


def channel_index(grouping, param: str, axis: int = 0) -> list[int]:
    for group in grouping.groups:
        for member in group.members:
            if (member.param, member.axis) == (param, axis):
                return member.index.tolist()
    return []


class Pick(nn.Layer):
    """Channels in another order, or some of them."""

    def __init__(self, positions: list[int], how=paddle.index_select) -> None:
        super().__init__()
        self.positions, self.how = paddle.to_tensor(positions), how

    def forward(self, x):
        return self.how(x, self.positions, axis=1)
