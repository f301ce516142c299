"""The parameters of a network as one vector: float32 (or float64), and a bfloat16 copy of the convolutions."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from .layout import Layout, MobileLayout, place_of, shapes_of, slot, split


def initial_state(layout: Layout | MobileLayout, seed: int) -> dict[str, Tensor]:
    """Return new weights of a network, named and shaped as in Paddle."""
    parameters = Parameters(layout, 1, torch.device("cpu"), torch.float32, low=False)
    parameters.initialise(torch.Generator().manual_seed(seed))
    return parameters.state_dict(parameters.flat, parameters.statistics)


class Parameters:
    """Parameters and statistics of a network, each kind in one flat vector.

    With ``pad`` above 1 all widths, that of the image too, are multiples of it. The channels added are zero in every
    tensor, so their activations and all their gradients are exactly zero, and they stay what they are.

    Attributes:
        shapes: of the network without padding.
        flat: convolutions, the linear layer, and vectors, in this order.
        convolutions: how many there are.
        low: bfloat16 copy of the convolutions, or None to compute with ``flat`` itself.
        statistics: running means and variances.
        decayed: how many elements of ``flat`` are not those of normalization or biases.
    """

    def __init__(
        self, layout: Layout | MobileLayout, pad: int, device: torch.device, dtype: torch.dtype, low: bool
    ) -> None:
        self.layout = layout
        self.shapes, self.stored = shapes_of(layout), shapes_of(layout, pad)
        bn = {
            name[: -len(".weight")]: n for name, n in self.stored.items() if "bn" in name and name.endswith("weight")
        }
        self.stat_shapes = {f"{name}.{kind}": n for kind in ("_mean", "_variance") for name, n in bn.items()}
        sizes = {name: slot(shape) for name, shape in self.stored.items()}
        self.convolutions = sum(len(shape) == 4 for shape in self.stored.values())
        low_size = sum(list(sizes.values())[: self.convolutions])
        self.linear = next(name for name, shape in self.stored.items() if len(shape) == 2)
        self.decayed = low_size + sizes[self.linear]
        self.flat = torch.zeros(sum(sizes.values()), device=device, dtype=dtype)
        self.low = torch.zeros(low_size, device=device, dtype=torch.bfloat16) if low else None
        self.statistics = torch.zeros(sum(map(slot, self.stat_shapes.values())), device=device, dtype=dtype)
        self.stats = split(self.statistics, self.stat_shapes)
        self.leaves = {name: view.detach().requires_grad_() for name, view in self.views(self.flat, self.low).items()}
        self.gradient = torch.zeros_like(self.flat)
        self.gradients = list(split(self.gradient, self.stored).values())

    def views(self, flat: Tensor, low: Tensor | None) -> dict[str, Tensor]:
        """Return what a network computes with: views of ``flat``, convolutions of ``low`` where it is given."""
        views = split(flat, self.stored)
        if low is not None:
            views.update(split(low, {name: shape for name, shape in self.stored.items() if len(shape) == 4}))
        return views

    def stat_views(self, statistics: Tensor) -> dict[str, Tensor]:
        """Return named views of a vector of running statistics."""
        return split(statistics, self.stat_shapes)

    @torch.no_grad()
    def refresh(self) -> None:
        """Copy the convolutions into bfloat16."""
        if self.low is not None:
            self.low.copy_(self.flat[: len(self.low)])

    def widened(self, images: Tensor) -> Tensor:
        """Return images, enlarged if need be, with channels of zeros up to what the first convolution takes."""
        first = next(shape for name, shape in self.stored.items() if name.split(".")[0] in ("conv1", "conv"))
        missing = first[1] - images.shape[1]
        if self.layout.enlarged > 1:
            images = F.interpolate(images, scale_factor=self.layout.enlarged)
        dtype = self.flat.dtype if self.low is None else self.low.dtype
        images = F.pad(images, (0, 0, 0, 0, 0, missing)) if missing else images
        return images.to(dtype, memory_format=torch.channels_last)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator) -> None:
        """Draw convolutions with variance ``2 / fan_out``, as ``cifar10_repro`` does; padding stays zero."""
        state: dict[str, Tensor] = {}
        for name, shape in self.shapes.items():
            if len(shape) > 1:
                fan = math.prod(shape) / (shape[1] if shape[1] > 1 else shape[0]) if len(shape) == 4 else shape[1]
                drawn = torch.randn(shape, generator=generator) * math.sqrt(2.0 / fan)
                state[name] = drawn if len(shape) == 4 else drawn.t()
            else:
                state[name] = torch.full(shape, float("bn" in name and name.endswith("weight")))
        for name in self.stat_shapes:
            n = self.shapes[f"{name.rpartition('.')[0]}.weight"]
            state[name] = torch.full(n, float(name.endswith("_variance")))
        self.load(state)

    @torch.no_grad()
    def load(self, state: Mapping[str, Tensor]) -> None:
        """Copy weights, named and shaped as in Paddle, into the vectors.

        Raises:
            KeyError: a parameter or a statistic is missing.
        """
        self.flat.zero_()
        self.statistics.zero_()
        for name, view in {**split(self.flat, self.stored), **self.stats}.items():
            value = state[name].t() if name == self.linear else state[name]
            view[tuple(slice(n) for n in value.shape)] = value.to(view)
        self.refresh()

    def state_dict(self, flat: Tensor, statistics: Tensor) -> dict[str, Tensor]:
        """Return float32 copies on the CPU, named and shaped as in Paddle, without the padding."""
        shapes = dict(self.shapes)
        shapes.update({name: self.shapes[f"{name.rpartition('.')[0]}.weight"] for name in self.stat_shapes})
        state = {}
        for name, view in {**split(flat, self.stored), **split(statistics, self.stat_shapes)}.items():
            value = view[tuple(slice(n) for n in shapes[name])].detach().to("cpu", torch.float32)
            state[name] = (value.t() if name == self.linear else value).contiguous().clone()
        blocks = (block for block in self.layout.blocks if block.stride == 2)
        return {**state, **{f"{b.prefix}.shortcut.place": place_of(b, b.out_c, b.in_c) for b in blocks}}
