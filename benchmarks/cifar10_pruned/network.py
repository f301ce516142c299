"""CIFAR ResNets of any widths as functions of their parameters, block by block.

Shortcut option A of a pruned network is a gather of channels with zeros in between; as in the plugin's zoo it is a
convolution with a constant of zeros and ones, ``shortcut.place``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import Block, Layout, place_of, shapes_of
from .mobile import MobileLayout, MobileNetwork

MOMENTUM, EPS = 0.1, 1e-5
Tensors = Mapping[str, Tensor]


def normalise(x: Tensor, mean: Tensor, variance: Tensor, weight: Tensor, bias: Tensor, training: bool) -> Tensor:
    """Batch normalization; in training it updates ``mean`` and ``variance``."""
    return F.batch_norm(x, mean, variance, weight, bias, training, MOMENTUM, EPS)


def stem(x: Tensor, weight: Tensor, bn: tuple[Tensor, ...], training: bool) -> Tensor:
    """First convolution, normalization and ReLU."""
    return F.relu(normalise(F.conv2d(x, weight, padding=1), *bn, training))


def block(
    x: Tensor,
    weights: tuple[Tensor, Tensor],
    bn1: tuple[Tensor, ...],
    bn2: tuple[Tensor, ...],
    place: Tensor | None,
    training: bool,
) -> Tensor:
    """A basic block, with stride 2 where it has a ``place``."""
    stride = 1 if place is None else 2
    branch = F.relu(normalise(F.conv2d(x, weights[0], stride=stride, padding=1), *bn1, training))
    branch = normalise(F.conv2d(branch, weights[1], padding=1), *bn2, training)
    return F.relu(branch + (x if place is None else F.conv2d(x, place, stride=2)))


# Blocks of equal shape, in whatever network, are compiled once; a second width must not turn the first into a symbol.
compiled_stem = torch.compile(stem, dynamic=False)
compiled_block = torch.compile(block, dynamic=False)


@dataclass(frozen=True)
class Network:
    """A layout with the constants of its shortcuts, and whether blocks are compiled."""

    layout: Layout
    places: dict[str, Tensor]
    compiled: bool = False

    @classmethod
    def of(cls, layout: Layout, pad: int, device: torch.device, dtype: torch.dtype, compiled: bool) -> Network:
        """Return the network whose widths are rounded up to multiples of ``pad``; the channels added stay zero."""
        shapes = shapes_of(layout, pad)
        places = {
            b.prefix: place_of(b, shapes[f"{b.prefix}.conv2.weight"][0], shapes[f"{b.prefix}.conv1.weight"][1])
            .to(device, dtype)
            .to(memory_format=torch.channels_last)
            for b in layout.blocks
            if b.stride == 2
        }
        return cls(layout, places, compiled)

    def run_stem(self, params: Tensors, stats: Tensors, x: Tensor, training: bool) -> Tensor:
        """Return what goes into the first block."""
        run = compiled_stem if self.compiled else stem
        return run(x, params["conv1.weight"], _bn("bn1", params, stats), training)

    def run_block(self, params: Tensors, stats: Tensors, x: Tensor, b: Block, training: bool) -> Tensor:
        """Return what goes out of a block."""
        run = compiled_block if self.compiled else block
        weights = (params[f"{b.prefix}.conv1.weight"], params[f"{b.prefix}.conv2.weight"])
        bn1, bn2 = (_bn(f"{b.prefix}.{name}", params, stats) for name in ("bn1", "bn2"))
        return run(x, weights, bn1, bn2, self.places.get(b.prefix), training)

    def forward(self, params: Tensors, stats: Tensors, x: Tensor, training: bool) -> Tensor:
        """Return logits ``[n, 10]`` in the dtype of the linear layer.

        Args:
            params: name -> parameter.
            stats: name -> running mean or variance; training updates them.
            x: images, see :meth:`.parameters.Parameters.widened`.
            training: whether batches are normalized by their own statistics.
        """
        x = self.run_stem(params, stats, x, training)
        for b in self.layout.blocks:
            x = self.run_block(params, stats, x, b, training)
        linear = params["linear.weight"]
        return F.linear(x.to(linear.dtype).mean(dim=(2, 3)), linear, params["linear.bias"])


def network_of(
    layout: Layout | MobileLayout, pad: int, device: torch.device, dtype: torch.dtype, compiled: bool
) -> Network | MobileNetwork:
    """Return the network of a layout; mobile networks are not compiled."""
    if isinstance(layout, MobileLayout):
        return MobileNetwork(layout)
    return Network.of(layout, pad, device, dtype, compiled)


def _bn(name: str, params: Tensors, stats: Tensors) -> tuple[Tensor, ...]:
    of = (stats[f"{name}._mean"], stats[f"{name}._variance"])
    return (*of, params[f"{name}.weight"], params[f"{name}.bias"])
