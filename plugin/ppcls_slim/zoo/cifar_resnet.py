"""The ResNets for CIFAR-10 of He et al., Deep Residual Learning, CVPR 2016, section 4.2.

Three stages of 16, 32 and 64 channels with ``n`` basic blocks each, ``6n + 2`` layers. Shortcuts are option A,
without parameters: every second pixel, and zeros for the new channels.

With ``pact_bits`` and ``weight_bits`` they are the networks of the PACT paper (Choi et al., arXiv:1805.06085): every
ReLU but the last clips and quantizes, so that shortcuts are quantized too, and DoReFa quantizes the weights of all
convolutions but the first. This is the training of the paper; use ``Slim.quant`` for int8 models.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Optional

import numpy as np

from ..compat.paddle import paddle
from ..quant.pact_layers import PactQuantizer
from .dorefa import DorefaConv2D

WIDTHS = (16, 32, 64)
DEPTHS = (8, 14, 20, 32, 44, 56, 110)
FIRST_ALPHA = 10.0
"""Initial alpha of PACT; the paper: "a large value"."""


class ZeroPadShortcut(paddle.nn.Layer):
    """Option A: ``x[:, :, ::2, ::2]`` with ``(out_c - in_c) / 2`` channels of zeros on either side.

    It is a convolution with constant zeros and ones ``[out_c, in_c, 1, 1]``, because its weight can be pruned on both
    axes. Padding would compute the same, but its sizes are constants in the code.
    """

    def __init__(self, in_c: int, out_c: int):
        super().__init__()
        place = np.zeros((out_c, in_c, 1, 1), dtype=np.float32)
        place[(out_c - in_c) // 2 + np.arange(in_c), np.arange(in_c)] = 1
        self.register_buffer("place", paddle.to_tensor(place))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``[n, in_c, h, w]`` -> ``[n, out_c, h / 2, w / 2]``."""
        return paddle.nn.functional.conv2d(x, self.place, stride=2)


class BasicBlock(paddle.nn.Layer):
    """Two 3x3 convolutions with batch normalization, and the shortcut around them."""

    def __init__(
        self,
        in_c: int,
        out_c: int,
        stride: int,
        pact_bits: Optional[int] = None,
        weight_bits: Optional[int] = None,
        last: bool = False,
    ):
        super().__init__()
        convolution = paddle.nn.Conv2D if weight_bits is None else partial(DorefaConv2D, bits=weight_bits)
        self.conv1 = convolution(in_c, out_c, 3, stride=stride, padding=1, bias_attr=False)
        self.bn1 = paddle.nn.BatchNorm2D(out_c)
        self.relu1 = _activation(pact_bits)
        self.conv2 = convolution(out_c, out_c, 3, padding=1, bias_attr=False)
        self.bn2 = paddle.nn.BatchNorm2D(out_c)
        self.relu2 = _activation(None if last else pact_bits)
        self.shortcut = ZeroPadShortcut(in_c, out_c) if stride != 1 else paddle.nn.Identity()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """``[n, in_c, h, w]`` -> ``[n, out_c, h / stride, w / stride]``."""
        y = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(y)) + self.shortcut(x))


def _activation(pact_bits: Optional[int]) -> paddle.nn.Layer:
    if pact_bits is None:
        return paddle.nn.ReLU()
    return PactQuantizer("a ReLU of CifarResNet", bits=pact_bits, alpha=FIRST_ALPHA)


class CifarResNet(paddle.nn.Layer):
    """A ResNet of ``6n + 2`` layers for images of 32x32.

    Args:
        depth: 8, 14, 20, 32, 44, 56 or 110.
        class_num: classes.
        pretrained: ignored; PaddleClas passes it to every backbone.
        pact_bits: bits of the activations, None for float.
        weight_bits: bits of the weights, None for float.

    Raises:
        ValueError: the depth is not ``6n + 2``.
    """

    def __init__(
        self,
        depth: int,
        class_num: int = 10,
        pretrained: bool = False,
        pact_bits: Optional[int] = None,
        weight_bits: Optional[int] = None,
        **kwargs: object,
    ):
        super().__init__()
        if (depth - 2) % 6:
            raise ValueError(f"a CIFAR ResNet has 6n + 2 layers, not {depth}")
        self.conv1 = paddle.nn.Conv2D(3, WIDTHS[0], 3, padding=1, bias_attr=False)
        self.bn1 = paddle.nn.BatchNorm2D(WIDTHS[0])
        self.relu = _activation(pact_bits)
        in_c = WIDTHS[0]
        for number, out_c in enumerate(WIDTHS, 1):
            blocks = []
            for block in range((depth - 2) // 6):
                stride = 2 if block == 0 and number > 1 else 1
                last = number == len(WIDTHS) and block == (depth - 2) // 6 - 1
                blocks.append(BasicBlock(in_c, out_c, stride, pact_bits, weight_bits, last))
                in_c = out_c
            setattr(self, f"layer{number}", paddle.nn.Sequential(*blocks))
        self.linear = paddle.nn.Linear(in_c, class_num)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Images ``[n, 3, h, w]`` -> logits ``[n, class_num]``."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(paddle.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


def relu_layers(model: CifarResNet) -> list[str]:
    """Return the names of the ReLUs but the last, in the order of the forward pass."""
    return [name for name, _ in model.named_sublayers() if name.rpartition(".")[2].startswith("relu")][:-1]


BACKBONES: dict[str, Callable[..., CifarResNet]] = {
    f"CifarResNet{depth}": partial(CifarResNet, depth) for depth in DEPTHS
}
