"""FPGM, PACT, DoReFa and LSQ in PyTorch, as tensor functions that run inside a CUDA graph.

Each follows the NumPy function of the same name in ``ppcls_slim.reference``; a test holds them together.
"""

from __future__ import annotations

import torch
from torch import Tensor


def distance_sums(weight: Tensor) -> Tensor:
    """Sum of distances from each filter to all others, float64 ``[out_c]``."""
    filters = weight.detach().flatten(1).double()
    return torch.cdist(filters, filters, compute_mode="donot_use_mm_for_euclid_dist").sum(dim=1)


def choose_filters(weight: Tensor, norm_count: int, distance_count: int) -> Tensor:
    """Return the filters to prune: first by norm, then by distance among those that are left."""
    filters = weight.detach().flatten(1).double()
    by_norm = filters.norm(dim=1).argsort(stable=True)
    left = by_norm[norm_count:].sort().values
    by_distance = distance_sums(weight[left]).argsort(stable=True)
    return torch.cat([by_norm[:norm_count], left[by_distance[:distance_count]]])


def filter_mask(weight: Tensor, norm_keep: float, distance_ratio: float) -> Tensor:
    """Return a mask shaped like the weight, 0 on the chosen filters; counts as the authors' program."""
    filters = weight.shape[0]
    pruned = choose_filters(weight, int(filters * (1 - norm_keep)), int(filters * distance_ratio))
    return torch.ones_like(weight).index_fill_(0, pruned, 0.0)


def pact(x: Tensor, alpha: Tensor, bits: int) -> Tensor:
    """Clip to [0, alpha] and quantize; the gradient passes through rounding, and to alpha above it."""
    clipped = torch.where(x >= alpha, alpha, torch.where(x >= 0, x, 0.0))
    steps = 2**bits - 1
    quantized = torch.round(clipped * steps / alpha) * alpha / steps
    return clipped + (quantized - clipped).detach()


def dorefa_weight(weight: Tensor, bits: int) -> Tensor:
    """Quantize a weight to ``2^bits`` levels in [-1, 1]; the gradient passes through rounding."""
    squashed = torch.tanh(weight)
    unit = squashed / (2 * squashed.abs().amax()) + 0.5
    steps = 2**bits - 1
    quantized = torch.round(unit * steps) / steps
    return 2 * (unit + (quantized - unit).detach()) - 1


def lsq(v: Tensor, step: Tensor, negative: int, positive: int, gradient_scale: float) -> Tensor:
    """Quantize to multiples of a learned step; the step broadcasts to ``v`` and is positive."""
    constant = step.detach()
    scaled = constant + (step - constant) * gradient_scale
    ratio = v / scaled
    low, high = ratio <= -negative, ratio >= positive
    clipped = torch.where(low, -float(negative), torch.where(high, float(positive), ratio))
    return (clipped + (torch.round(clipped) - clipped).detach()) * scaled


def sgd_step(
    weights: Tensor,
    velocity: Tensor,
    gradient: Tensor,
    mask: Tensor | None,
    lr: Tensor,
    momentum: float = 0.9,
    weight_decay: float | Tensor = 5e-4,
) -> None:
    """One Nesterov step in place, on flat vectors of all parameters; the mask acts on the loss gradient.

    The weight decay is a number, or a vector with one for every parameter.
    """
    if mask is not None:
        gradient = gradient * mask
    gradient = gradient + weight_decay * weights
    velocity.mul_(momentum).add_(gradient)
    weights.sub_(lr * gradient.add(velocity, alpha=momentum))
