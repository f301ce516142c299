"""The ResNets for CIFAR-10 of He et al., Deep Residual Learning, CVPR 2016, section 4.2.

Three stages of 16, 32 and 64 channels with ``n`` basic blocks each, ``6n + 2`` layers, shortcuts of
option A (no parameters): every second pixel, and zeros for the channels that are new.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from ..upstream.paddle_lines import paddle

nn, functional = paddle.nn, paddle.nn.functional
WIDTHS = (16, 32, 64)
DEPTHS = (8, 14, 20, 32, 44, 56, 110)


class ZeroPadShortcut(nn.Layer):
    """Option A: ``x[:, :, ::2, ::2]`` with ``(out_c - in_c) / 2`` channels of zeros on either side.

    Written as a convolution with constant zeros and ones ``[out_c, in_c, 1, 1]``: the same numbers, but
    a matrix that shrinks on both axes when channels are pruned, where padding would have its sizes
    written in the code.
    """

    def __init__(self, in_c: int, out_c: int):
        super().__init__()
        place = np.zeros((out_c, in_c, 1, 1), dtype=np.float32)
        place[(out_c - in_c) // 2 + np.arange(in_c), np.arange(in_c)] = 1
        self.register_buffer("place", paddle.to_tensor(place))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``[n, in_c, h, w]`` -> ``[n, out_c, h / 2, w / 2]``."""
        return functional.conv2d(x, self.place, stride=2)


class BasicBlock(nn.Layer):
    """Two 3x3 convolutions with batch normalization, and the shortcut around them."""

    def __init__(self, in_c: int, out_c: int, stride: int):
        super().__init__()
        self.conv1 = nn.Conv2D(in_c, out_c, 3, stride=stride, padding=1, bias_attr=False)
        self.bn1 = nn.BatchNorm2D(out_c)
        self.conv2 = nn.Conv2D(out_c, out_c, 3, padding=1, bias_attr=False)
        self.bn2 = nn.BatchNorm2D(out_c)
        self.shortcut = ZeroPadShortcut(in_c, out_c) if stride != 1 else nn.Identity()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``[n, in_c, h, w]`` -> ``[n, out_c, h / stride, w / stride]``."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.shortcut(x))


class CifarResNet(nn.Layer):
    """A ResNet of ``6n + 2`` layers for images of 32x32.

    Args:
        depth: 8, 14, 20, 32, 44, 56 or 110.
        class_num: classes.
        pretrained: PaddleClas passes it to every backbone; there is nothing to download here.

    Raises:
        ValueError: a depth that is not ``6n + 2``.
    """

    def __init__(self, depth: int, class_num: int = 10, pretrained: bool = False, **kwargs: object):
        super().__init__()
        if (depth - 2) % 6:
            raise ValueError(f"a CIFAR ResNet has 6n + 2 layers, not {depth}")
        self.conv1 = nn.Conv2D(3, WIDTHS[0], 3, padding=1, bias_attr=False)
        self.bn1 = nn.BatchNorm2D(WIDTHS[0])
        in_c = WIDTHS[0]
        for number, out_c in enumerate(WIDTHS, 1):
            blocks = []
            for block in range((depth - 2) // 6):
                blocks.append(BasicBlock(in_c, out_c, 2 if block == 0 and number > 1 else 1))
                in_c = out_c
            setattr(self, f"layer{number}", nn.Sequential(*blocks))
        self.linear = nn.Linear(in_c, class_num)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Images ``[n, 3, h, w]`` -> logits ``[n, class_num]``."""
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(functional.adaptive_avg_pool2d(x, 1).flatten(1))


BACKBONES: dict[str, Callable[..., CifarResNet]] = {
    f"CifarResNet{depth}": partial(CifarResNet, depth) for depth in DEPTHS
}
