"""MobileNetV3_small_x1_0 and PPLCNet of any widths, as functions of parameters with PaddleClas's names.

Images of CIFAR-10 are enlarged to 64 pixels a side. There is no dropout: ``Arch.dropout_prob`` is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

SIDE, ENLARGED = 64, 2
MOMENTUM, EPS = 0.1, 1e-5
SMALL = (
    (2, "relu", False), (2, "relu", False), (1, "relu", True), (2, "hardswish", False), (1, "hardswish", True),
    (1, "hardswish", True), (1, "hardswish", False), (1, "hardswish", True), (2, "hardswish", False),
    (1, "hardswish", True), (1, "hardswish", True),
)  # fmt: skip
"""MobileNetV3_small: stride, activation and whether there is a shortcut, of every block."""
LCNET_STRIDES = {2: (1,), 3: (2, 1), 4: (2, 1), 5: (2, 1, 1, 1, 1, 1), 6: (2, 1)}
Tensors = Mapping[str, Tensor]
ACTIVATIONS = {"relu": F.relu, "hardswish": F.hardswish, "": lambda x: x}


@dataclass(frozen=True)
class MobileLayout:
    """Shapes of the parameters, in PyTorch's order of the linear layer (``[out, in]``)."""

    parameters: tuple[tuple[str, tuple[int, ...]], ...]
    packed: int = 1
    enlarged: int = ENLARGED
    blocks: tuple[()] = ()

    @classmethod
    def of(cls, state: Tensors) -> MobileLayout:
        """Read it off weights: convolutions, the linear layer, vectors."""
        shapes = {k: tuple(v.shape) for k, v in state.items() if not k.endswith(("_mean", "_variance"))}
        shapes["fc.weight"] = shapes["fc.weight"][::-1]
        return cls(tuple(sorted(shapes.items(), key=lambda item: -len(item[1]))))

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Return name -> shape."""
        return dict(self.parameters)

    def widths(self) -> dict[str, int]:
        """Return the number of filters of every convolution."""
        return {name[: -len(".weight")]: shape[0] for name, shape in self.parameters if len(shape) == 4}

    def macs(self) -> int:
        """Return the multiply-accumulates of convolutions and the linear layer for one image."""
        params = {name: torch.zeros(shape) for name, shape in self.parameters}
        stats = {}
        for name, shape in self.parameters:
            if name.endswith("bn.weight"):
                base = name[: -len(".weight")]
                stats.update({f"{base}._mean": torch.zeros(shape), f"{base}._variance": torch.ones(shape)})
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            MobileNetwork(self).forward(params, stats, torch.zeros(1, 3, SIDE, SIDE), False)
        return counter.get_total_flops() // 2


@dataclass(frozen=True)
class MobileNetwork:
    """The forward pass; what kind of network it is is read off the names."""

    layout: MobileLayout
    compiled: bool = False

    def forward(self, params: Tensors, stats: Tensors, x: Tensor, training: bool) -> Tensor:
        """Return logits ``[n, 10]`` of enlarged images; see :meth:`.network.Network.forward`."""
        state = State(params, stats, training)
        features = state.mobilenet_v3(x) if "last_second_conv.conv.weight" in params else state.lcnet(x)
        hidden = F.hardswish(state.convolve("last_conv", features.mean(dim=(2, 3), keepdim=True)))
        linear = params["fc.weight"]
        return F.linear(hidden.flatten(1).to(linear.dtype), linear, params["fc.bias"])


@dataclass(frozen=True)
class State:
    """Parameters and statistics of one forward pass."""

    params: Tensors
    stats: Tensors
    training: bool

    def convolve(self, name: str, x: Tensor, stride: int = 1) -> Tensor:
        """A convolution, depthwise where its filters have one input channel."""
        weight, bias = self.params[f"{name}.weight"], self.params.get(f"{name}.bias")
        groups = len(weight) if weight.shape[1] == 1 else 1
        bias = None if bias is None else bias.to(x.dtype)
        return F.conv2d(x, weight, bias, stride, weight.shape[2] // 2, groups=groups)

    def unit(self, name: str, x: Tensor, activation: str = "hardswish", stride: int = 1) -> Tensor:
        """Convolution, normalization, activation."""
        x, bn = self.convolve(f"{name}.conv", x, stride), f"{name}.bn"
        of = (self.stats[f"{bn}._mean"], self.stats[f"{bn}._variance"])
        weights = (self.params[f"{bn}.weight"], self.params[f"{bn}.bias"])
        return ACTIVATIONS[activation](F.batch_norm(x, *of, *weights, self.training, MOMENTUM, EPS))

    def squeeze(self, name: str, x: Tensor, slope: float) -> Tensor:
        """Squeeze and excitation, if the block has it."""
        if f"{name}.conv1.weight" not in self.params:
            return x
        scale = F.relu(self.convolve(f"{name}.conv1", x.mean(dim=(2, 3), keepdim=True)))
        return x * (self.convolve(f"{name}.conv2", scale) * slope + 0.5).clamp(0, 1)

    def mobilenet_v3(self, x: Tensor) -> Tensor:
        """Return the features of MobileNetV3_small."""
        x = self.unit("conv", x, stride=2)
        for index, (stride, activation, shortcut) in enumerate(SMALL):
            name = f"blocks.{index}"
            y = self.unit(f"{name}.expand_conv", x, activation)
            y = self.unit(f"{name}.bottleneck_conv", y, activation, stride)
            y = self.unit(f"{name}.linear_conv", self.squeeze(f"{name}.mid_se", y, 0.2), "")
            x = x + y if shortcut else y
        return self.unit("last_second_conv", x)

    def lcnet(self, x: Tensor) -> Tensor:
        """Return the features of PPLCNet."""
        x = self.unit("conv1", x, stride=2)
        for stage, strides in LCNET_STRIDES.items():
            for index, stride in enumerate(strides):
                name = f"blocks{stage}.{index}"
                x = self.unit(f"{name}.dw_conv", x, stride=stride)
                x = self.unit(f"{name}.pw_conv", self.squeeze(f"{name}.se", x, 1 / 6))
        return x
