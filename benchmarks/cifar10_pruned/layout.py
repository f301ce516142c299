"""The widths of a CIFAR ResNet, and where its parameters lie in a vector.

Names are those of ``ppcls_slim.zoo.cifar_resnet``: the network is read off the shapes of a file that ``plans.py``
wrote, and trained weights go back under the same names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .mobile import MobileLayout

WIDTHS = (16, 32, 64)
CLASSES = 10


@dataclass(frozen=True)
class Block:
    """A basic block: ``in_c`` channels come in, ``mid_c`` are between the convolutions, ``out_c`` go out."""

    prefix: str
    in_c: int
    mid_c: int
    out_c: int
    stride: int
    place: tuple[tuple[int, int], ...] = ()
    """With stride 2: (channel that goes out, channel that comes in) of the shortcut; the others are zero."""


@dataclass(frozen=True)
class Layout:
    """The widths of a network: channels of the first convolution, the blocks, how many runs are packed into it."""

    stem: int
    blocks: tuple[Block, ...]
    packed: int = 1
    enlarged: int = 1

    def widths(self) -> dict[str, int | list[int]]:
        """Return the channels of the first convolution, and for every block those between and behind its two."""
        return {"stem": self.stem, **{b.prefix: [b.mid_c, b.out_c] for b in self.blocks}}

    def macs(self) -> int:
        """Return the multiply-accumulates of convolutions and the linear layer for one 32x32 image."""
        side, total = 32, 3 * 9 * self.stem * 32 * 32
        for block in self.blocks:
            side //= block.stride
            total += 9 * block.mid_c * (block.in_c + block.out_c) * side * side
        return total + CLASSES * self.blocks[-1].out_c


def wide_layout(depth: int, width: int = 1) -> Layout:
    """Return the unpruned network of ``6n + 2`` layers with all widths times ``width``.

    Raises:
        ValueError: the depth is not ``6n + 2``.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"a CIFAR ResNet has 6 n + 2 layers, not {depth}")
    blocks, in_c = [], WIDTHS[0] * width
    for stage, out_c in enumerate(w * width for w in WIDTHS):
        for index in range((depth - 2) // 6):
            stride = 2 if stage and not index else 1
            place = tuple(((out_c - in_c) // 2 + c, c) for c in range(in_c)) if stride == 2 else ()
            blocks.append(Block(f"layer{stage + 1}.{index}", in_c, out_c, out_c, stride, place))
            in_c = out_c
    return Layout(WIDTHS[0] * width, tuple(blocks))


def layout_of(state: Mapping[str, Tensor]) -> Layout | MobileLayout:
    """Read the network off its weights, named and shaped as in Paddle."""
    if "fc.weight" in state:
        return MobileLayout.of(state)
    names = [name[: -len(".conv1.weight")] for name in state if re.fullmatch(r"layer\d\.\d+\.conv1\.weight", name)]
    blocks = []
    for prefix in sorted(names, key=lambda name: [int(n) for n in re.findall(r"\d+", name)]):
        mid_c, in_c = state[f"{prefix}.conv1.weight"].shape[:2]
        out_c = state[f"{prefix}.conv2.weight"].shape[0]
        place = state.get(f"{prefix}.shortcut.place")
        pairs = () if place is None else tuple(map(tuple, place[:, :, 0, 0].nonzero().tolist()))
        blocks.append(Block(prefix, in_c, mid_c, out_c, 1 if place is None else 2, pairs))
    stem, images = state["conv1.weight"].shape[:2]
    return Layout(stem, tuple(blocks), images // 3)


def in_paddle_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict of akamaster/pytorch_resnet_cifar10 with the names and shapes of the plugin's zoo."""
    if "bn1.running_mean" not in state:
        return dict(state)
    renamed = {
        name.replace("running_mean", "_mean").replace("running_var", "_variance"): value
        for name, value in state.items()
        if not name.endswith("num_batches_tracked")
    }
    renamed["linear.weight"] = renamed["linear.weight"].t().contiguous()
    depth = 2 + 2 * sum(name.endswith("conv1.weight") and name.startswith("layer") for name in renamed)
    for block in wide_layout(depth, renamed["conv1.weight"].shape[0] // WIDTHS[0]).blocks:
        if block.stride == 2:
            renamed[f"{block.prefix}.shortcut.place"] = place_of(block, block.out_c, block.in_c)
    return renamed


def place_of(block: Block, out_c: int, in_c: int) -> Tensor:
    """Return the constant ``[out_c, in_c, 1, 1]`` of a shortcut, zeros and ones."""
    place = torch.zeros(out_c, in_c, 1, 1)
    for to, source in block.place:
        place[to, source] = 1
    return place


def shapes_of(layout: Layout | MobileLayout, pad: int = 1) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of all trained parameters, widths rounded up to multiples of ``pad``.

    First all convolutions, then the linear layer (``[out, in]``, as PyTorch has it), then vectors. Mobile networks
    are not padded.
    """
    if isinstance(layout, MobileLayout):
        return layout.shapes()

    def up(channels: int) -> int:
        return -(-channels // pad) * pad

    weights = {"conv1.weight": (up(layout.stem), up(3 * layout.packed), 3, 3)}
    vectors = {"bn1": up(layout.stem)}
    for block in layout.blocks:
        weights[f"{block.prefix}.conv1.weight"] = (up(block.mid_c), up(block.in_c), 3, 3)
        weights[f"{block.prefix}.conv2.weight"] = (up(block.out_c), up(block.mid_c), 3, 3)
        vectors[f"{block.prefix}.bn1"], vectors[f"{block.prefix}.bn2"] = up(block.mid_c), up(block.out_c)
    classes = CLASSES * layout.packed
    shapes: dict[str, tuple[int, ...]] = {**weights, "linear.weight": (classes, up(layout.blocks[-1].out_c))}
    shapes.update({f"{bn}.{part}": (n,) for bn, n in vectors.items() for part in ("weight", "bias")})
    return {**shapes, "linear.bias": (classes,)}


def split(flat: Tensor, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Return named views of a vector; convolutions lie in it channels-last, every start is aligned to 64 bytes."""
    views, start = {}, 0
    for name, shape in shapes.items():
        piece = flat[start : start + math.prod(shape)]
        if len(shape) == 4:
            o, i, h, w = shape
            views[name] = piece.view(o, h, w, i).permute(0, 3, 1, 2)
        else:
            views[name] = piece.view(shape)
        start += slot(shape)
    return views


def slot(shape: tuple[int, ...]) -> int:
    """Return how many elements a parameter takes in the vector."""
    return -(-math.prod(shape) // 32) * 32
