"""CIFAR ResNets (He et al. 2016, section 4.2, shortcut option A) as functions of a flat parameter vector.

All parameters of a run lie in one vector, so that an optimizer step is a handful of kernels whatever
the depth. Names are those of akamaster/pytorch_resnet_cifar10; where PACT is used, ``alphas`` is added,
one number for every quantized activation in the order of the forward pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from algorithms import dorefa_weight, pact
from torch import Tensor

WIDTHS = (16, 32, 64)
CLASSES = 10


def block_names(depth: int) -> Iterator[tuple[str, int, int, int]]:
    """Yield ``(prefix, in_c, out_c, stride)`` for every basic block."""
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"a CIFAR ResNet has 6 n + 2 layers, not {depth}")
    in_c = WIDTHS[0]
    for stage, out_c in enumerate(WIDTHS):
        for index in range((depth - 2) // 6):
            yield f"layer{stage + 1}.{index}", in_c, out_c, 2 if stage and not index else 1
            in_c = out_c


def parameter_shapes(depth: int, quantized: bool) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every trained parameter, in the order of the forward pass."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv_bn(conv: str, bn: str, in_c: int, out_c: int) -> None:
        shapes[f"{conv}.weight"] = (out_c, in_c, 3, 3)
        shapes[f"{bn}.weight"] = (out_c,)
        shapes[f"{bn}.bias"] = (out_c,)

    conv_bn("conv1", "bn1", 3, WIDTHS[0])
    for prefix, in_c, out_c, _ in block_names(depth):
        conv_bn(f"{prefix}.conv1", f"{prefix}.bn1", in_c, out_c)
        conv_bn(f"{prefix}.conv2", f"{prefix}.bn2", out_c, out_c)
    shapes["linear.weight"] = (CLASSES, WIDTHS[2])
    shapes["linear.bias"] = (CLASSES,)
    if quantized:
        # One for every ReLU but the last, which feeds the last layer: that stays in full precision.
        shapes["alphas"] = (depth - 2,)
    return shapes


def slot(shape: tuple[int, ...]) -> int:
    """Return how many elements a parameter takes in the vector: starts stay aligned to 64 bytes."""
    return -(-math.prod(shape) // 16) * 16


class Parameters:
    """One flat vector and named views into it; convolutions are stored channels-last (O, H, W, I)."""

    def __init__(self, depth: int, quantized: bool, device: torch.device, dtype: torch.dtype) -> None:
        self.shapes = parameter_shapes(depth, quantized)
        self.flat = torch.zeros(sum(map(slot, self.shapes.values())), device=device, dtype=dtype)
        self.views = {name: v.requires_grad_() for name, v in self.split(self.flat).items()}
        self.buffers = {
            f"{name[:-7]}.{stat}": torch.full(shape, fill, device=device, dtype=dtype)
            for name, shape in self.shapes.items()
            if "bn" in name and name.endswith(".weight")
            for stat, fill in (("running_mean", 0.0), ("running_var", 1.0))
        }

    def split(self, flat: Tensor) -> dict[str, Tensor]:
        """Return named detached views, shaped as the parameters, of a vector laid out as ``self.flat``."""
        views, start = {}, 0
        for name, shape in self.shapes.items():
            piece = flat.detach()[start : start + math.prod(shape)]
            if len(shape) == 4:
                o, i, h, w = shape
                views[name] = piece.view(o, h, w, i).permute(0, 3, 1, 2)
            else:
                views[name] = piece.view(shape)
            start += slot(shape)
        return views

    def join(self, tensors: list[Tensor]) -> Tensor:
        """Return one flat vector from tensors in the order and shapes of the parameters."""
        pieces = []
        for tensor in tensors:
            piece = (tensor.permute(0, 2, 3, 1) if tensor.dim() == 4 else tensor).reshape(-1)
            pieces.append(F.pad(piece, (0, slot(tensor.shape) - piece.numel())))
        return torch.cat(pieces)

    @torch.no_grad()
    def initialise(self, generator: torch.Generator, alpha: float) -> None:
        """Draw as the authors' program does: normal with variance ``2 / fan_out`` for convolutions."""
        for name, view in self.views.items():
            if view.dim() == 4:
                std = math.sqrt(2.0 / (view.shape[0] * 9))
                view.copy_(torch.randn(view.shape, generator=generator, dtype=view.dtype) * std)
            elif name == "linear.weight":
                std = math.sqrt(2.0 / view.shape[1])
                view.copy_(torch.randn(view.shape, generator=generator, dtype=view.dtype) * std)
            else:
                view.fill_(alpha if name == "alphas" else float("bn" in name and "weight" in name))

    @torch.no_grad()
    def load(self, state: dict[str, Tensor]) -> None:
        """Copy a state dict (names as above) into the vector and the statistics; names must all match.

        Raises:
            KeyError: a parameter or a statistic is missing.
        """
        for name, target in {**self.views, **self.buffers}.items():
            target.copy_(state[name])

    def state_dict(self) -> dict[str, Tensor]:
        """Return contiguous float32 copies on the CPU, ready for safetensors."""
        tensors = {**self.views, **self.buffers}
        return {k: v.detach().to("cpu", torch.float32).contiguous().clone() for k, v in tensors.items()}


def forward(
    params: dict[str, Tensor],
    buffers: dict[str, Tensor],
    images: Tensor,
    depth: int,
    bits: int | None = None,
    training: bool = False,
) -> Tensor:
    """Return logits ``[batch, 10]`` for normalised images ``[batch, 3, 32, 32]``.

    With ``bits``, weights of all but the first convolution and the last layer are quantized by
    DoReFa, and every ReLU but the last becomes PACT. Shortcuts carry the quantized activations.
    """

    def normalise(x: Tensor, name: str) -> Tensor:
        statistics = (buffers[f"{name}.running_mean"], buffers[f"{name}.running_var"])
        affine = (params[f"{name}.weight"], params[f"{name}.bias"])
        return F.batch_norm(x, *statistics, *affine, training, momentum=0.1, eps=1e-5)

    alphas = iter(params["alphas"].unbind() if bits else ())

    def activate(x: Tensor) -> Tensor:
        alpha = next(alphas, None)
        return F.relu(x) if alpha is None else pact(x, alpha, bits)

    def convolve(x: Tensor, name: str, stride: int) -> Tensor:
        weight = params[f"{name}.weight"]
        return F.conv2d(x, dorefa_weight(weight, bits) if bits else weight, stride=stride, padding=1)

    x = activate(normalise(F.conv2d(images, params["conv1.weight"], padding=1), "bn1"))
    for prefix, in_c, out_c, stride in block_names(depth):
        branch = activate(normalise(convolve(x, f"{prefix}.conv1", stride), f"{prefix}.bn1"))
        branch = normalise(convolve(branch, f"{prefix}.conv2", 1), f"{prefix}.bn2")
        if in_c != out_c:
            x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, (out_c - in_c) // 2, (out_c - in_c) // 2))
        x = activate(x + branch)
    return F.linear(x.mean(dim=(2, 3)), params["linear.weight"], params["linear.bias"])
