"""CIFAR ResNets (He et al. 2016, section 4.2, shortcut option A) as functions of a flat parameter vector.

All parameters of a run lie in one vector, so that an optimizer step is a handful of kernels whatever
the depth. Names are those of akamaster/pytorch_resnet_cifar10; where PACT is used, ``alphas`` is added,
one number for every quantized activation in the order of the forward pass. LSQ has ``steps`` in their place, and
``NAME.step``, ``[out_c]``, for every quantized convolution ``NAME``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from algorithms import dorefa_weight, lsq, pact
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


def parameter_shapes(depth: int, quantized: bool, learned_steps: bool = False) -> dict[str, tuple[int, ...]]:
    """Return name -> shape of every trained parameter, in the order of the forward pass."""
    shapes: dict[str, tuple[int, ...]] = {}

    def conv_bn(conv: str, bn: str, in_c: int, out_c: int) -> None:
        shapes[f"{conv}.weight"] = (out_c, in_c, 3, 3)
        shapes[f"{bn}.weight"] = (out_c,)
        shapes[f"{bn}.bias"] = (out_c,)

    conv_bn("conv1", "bn1", 3, WIDTHS[0])
    for prefix, in_c, out_c, _ in block_names(depth):
        for number, given in ((1, in_c), (2, out_c)):
            conv_bn(f"{prefix}.conv{number}", f"{prefix}.bn{number}", given, out_c)
            if quantized and learned_steps:
                shapes[f"{prefix}.conv{number}.step"] = (out_c,)
    shapes["linear.weight"] = (CLASSES, WIDTHS[2])
    shapes["linear.bias"] = (CLASSES,)
    if quantized:
        # One for every ReLU but the last, which feeds the last layer: that stays in full precision.
        shapes["steps" if learned_steps else "alphas"] = (depth - 2,)
    return shapes


def is_step(name: str) -> bool:
    """Whether a parameter is a step of LSQ."""
    return name == "steps" or name.endswith(".step")


def slot(shape: tuple[int, ...]) -> int:
    """Return how many elements a parameter takes in the vector: starts stay aligned to 64 bytes."""
    return -(-math.prod(shape) // 16) * 16


class Parameters:
    """One flat vector and named views into it; convolutions are stored channels-last (O, H, W, I)."""

    def __init__(
        self, depth: int, quantized: bool, device: torch.device, dtype: torch.dtype, learned_steps: bool = False
    ) -> None:
        self.shapes = parameter_shapes(depth, quantized, learned_steps)
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
            elif is_step(name):
                view.fill_(1.0)  # until `begin_steps`
            else:
                view.fill_(alpha if name == "alphas" else float("bn" in name and "weight" in name))

    @torch.no_grad()
    def begin_steps(self, magnitudes: Tensor, bits: int) -> None:
        """Set the first steps of LSQ, ``2 mean|v| / sqrt(Q_P)``.

        Args:
            magnitudes: mean of every quantized activation over a batch, ``[depth - 2]``.
            bits: of weights and activations.
        """
        signed, unsigned = 2 ** (bits - 1) - 1, 2**bits - 1
        for name, view in self.views.items():
            if name == "steps":
                view.copy_(2 * magnitudes / math.sqrt(unsigned))
            elif is_step(name):
                weight = self.views[f"{name.removesuffix('.step')}.weight"]
                view.copy_(2 * weight.abs().mean(dim=(1, 2, 3)) / math.sqrt(signed))

    @torch.no_grad()
    def load(self, state: dict[str, Tensor], of_float: bool = False) -> None:
        """Copy a state dict (names as above) into the vector and the statistics; names must all match.

        Args:
            state: the state dict.
            of_float: it is of a float network; the steps of LSQ and the alphas of PACT stay as they are.

        Raises:
            KeyError: a parameter or a statistic is missing.
        """
        for name, target in {**self.views, **self.buffers}.items():
            if not (of_float and (is_step(name) or name == "alphas")):
                target.copy_(state[name])

    def state_dict(self) -> dict[str, Tensor]:
        """Return contiguous float32 copies on the CPU, ready for safetensors."""
        tensors = {**self.views, **self.buffers}
        return {k: v.detach().to("cpu", torch.float32).contiguous().clone() for k, v in tensors.items()}


def gradient_scale(count: int, positive: int) -> float:
    """Return LSQ's factor of the gradient of a step that ``count`` values share."""
    return 1.0 / math.sqrt(count * positive)


class Quantizers:
    """The quantizers of one forward pass, in its order; without bits they are ReLUs and weights as they are.

    Args:
        params: with ``alphas`` (PACT and DoReFa) or ``steps`` (LSQ).
        bits: of weights and activations, or None.
        magnitudes: gets the mean of every activation that is or would be quantized.
    """

    def __init__(self, params: dict[str, Tensor], bits: int | None, magnitudes: list[Tensor] | None) -> None:
        self.params, self.bits, self.magnitudes = params, bits, magnitudes
        self.learned_steps = "steps" in params
        self.levels = iter(params["steps" if self.learned_steps else "alphas"].unbind() if bits else ())

    def activation(self, x: Tensor) -> Tensor:
        """ReLU and quantizer; of the last activation the ReLU alone."""
        level = next(self.levels, None)
        if self.magnitudes is not None:
            self.magnitudes.append(F.relu(x).mean())
        if level is None:
            return F.relu(x)
        if not self.learned_steps:
            return pact(x, level, self.bits)
        positive = 2**self.bits - 1
        return lsq(F.relu(x), level, 0, positive, gradient_scale(x[0].numel(), positive))

    def weight(self, name: str) -> Tensor:
        """The weight that the convolution ``name`` computes with."""
        weight = self.params[f"{name}.weight"]
        if not self.bits:
            return weight
        if not self.learned_steps:
            return dorefa_weight(weight, self.bits)
        step, positive = self.params[f"{name}.step"].view(-1, 1, 1, 1), 2 ** (self.bits - 1) - 1
        return lsq(weight, step, positive + 1, positive, gradient_scale(weight[0].numel(), positive))


def forward(
    params: dict[str, Tensor],
    buffers: dict[str, Tensor],
    images: Tensor,
    depth: int,
    bits: int | None = None,
    training: bool = False,
    float_shortcuts: bool = False,
    magnitudes: list[Tensor] | None = None,
) -> Tensor:
    """Return logits ``[batch, 10]`` for normalised images ``[batch, 3, 32, 32]``.

    With ``bits``, weights of all but the first convolution and the last layer are quantized by
    DoReFa, and every ReLU but the last becomes PACT; with parameters ``steps``, LSQ does both.
    Shortcuts carry the quantized activations, or with ``float_shortcuts`` those before quantization.

    Args:
        magnitudes: gets the mean of every activation that is or would be quantized, in order.
    """

    def normalise(x: Tensor, name: str) -> Tensor:
        statistics = (buffers[f"{name}.running_mean"], buffers[f"{name}.running_var"])
        affine = (params[f"{name}.weight"], params[f"{name}.bias"])
        return F.batch_norm(x, *statistics, *affine, training, momentum=0.1, eps=1e-5)

    quantizers = Quantizers(params, bits, magnitudes)

    def convolve(x: Tensor, name: str, stride: int) -> Tensor:
        return F.conv2d(x, quantizers.weight(name), stride=stride, padding=1)

    def carried(before: Tensor, x: Tensor) -> Tensor:
        return F.relu(before) if float_shortcuts else x

    before = normalise(F.conv2d(images, params["conv1.weight"], padding=1), "bn1")
    x = quantizers.activation(before)
    for prefix, in_c, out_c, stride in block_names(depth):
        branch = quantizers.activation(normalise(convolve(x, f"{prefix}.conv1", stride), f"{prefix}.bn1"))
        branch = normalise(convolve(branch, f"{prefix}.conv2", 1), f"{prefix}.bn2")
        shortcut = carried(before, x)
        if in_c != out_c:
            shortcut = F.pad(shortcut[:, :, ::2, ::2], (0, 0, 0, 0, (out_c - in_c) // 2, (out_c - in_c) // 2))
        before = shortcut + branch
        x = quantizers.activation(before)
    return F.linear(x.mean(dim=(2, 3)), params["linear.weight"], params["linear.bias"])
