"""PACT in float64: the paper's quantizers and PaddleSlim's clip, forward and backward.

Choi et al., "PACT: Parameterized Clipping Activation for Quantized Neural Networks",
arXiv:1805.06085; weights as in Zhou et al., "DoReFa-Net", arXiv:1606.06160.
"""

from __future__ import annotations

import numpy as np


def clip(x: np.ndarray, alpha: float) -> np.ndarray:
    """Return the paper's ``y = 0.5 (|x| - |x - alpha| + alpha)``, that is ``x`` clipped to [0, alpha]."""
    x = np.asarray(x, dtype=np.float64)
    return 0.5 * (np.abs(x) - np.abs(x - alpha) + alpha)


def quantize(x: np.ndarray, alpha: float, bits: int) -> np.ndarray:
    """Return the paper's ``y_q = round(y (2^k - 1) / alpha) alpha / (2^k - 1)`` with ``y = clip(x)``.

    A half is rounded to the even neighbour, as NumPy and PyTorch do; the paper does not say.
    """
    steps = 2**bits - 1
    return np.round(clip(x, alpha) * steps / alpha) * alpha / steps


def backward(x: np.ndarray, alpha: float, upstream: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the gradients of a loss with respect to ``x`` and ``alpha``.

    Rounding has a straight-through gradient. The paper: ``dy_q/dalpha = 0`` for ``x < alpha`` and 1 for
    ``x >= alpha``, so at ``x = alpha`` the gradient goes to alpha; ``dy_q/dx`` is 1 on ``[0, alpha)``.
    """
    x, upstream = np.asarray(x, dtype=np.float64), np.asarray(upstream, dtype=np.float64)
    inside = (x >= 0) & (x < alpha)
    return np.where(inside, upstream, 0.0), float(upstream[x >= alpha].sum())


def paddleslim_clip(x: np.ndarray, alpha: float) -> np.ndarray:
    """Return PaddleSlim 2.6 ``PACT.forward``: ``x - relu(x - alpha) + relu(-alpha - x)``.

    Two-sided: ``x`` clipped to [-alpha, alpha]. It does not quantize; a fake quantizer follows it.
    """
    x = np.asarray(x, dtype=np.float64)
    return x - np.maximum(x - alpha, 0.0) + np.maximum(-alpha - x, 0.0)


def paddleslim_backward(x: np.ndarray, alpha: float, upstream: np.ndarray) -> tuple[np.ndarray, float]:
    """Return the gradients of PaddleSlim's clip with respect to ``x`` and ``alpha``.

    ``dy/dalpha`` is 1 above alpha and -1 below -alpha. Exactly at +-alpha the ReLUs are at zero,
    where their gradient is 0: there ``x`` keeps its gradient and alpha gets none, unlike the paper.
    """
    x, upstream = np.asarray(x, dtype=np.float64), np.asarray(upstream, dtype=np.float64)
    above, below = x > alpha, x < -alpha
    gradient = np.where(above | below, 0.0, upstream)
    return gradient, float(upstream[above].sum() - upstream[below].sum())


def dorefa_weight(weight: np.ndarray, bits: int) -> np.ndarray:
    """Return DoReFa's ``w_q = 2 quantize_k(tanh(w) / (2 max|tanh(w)|) + 1/2) - 1``, values in [-1, 1]."""
    squashed = np.tanh(np.asarray(weight, dtype=np.float64))
    steps = 2**bits - 1
    normalized = squashed / (2 * np.abs(squashed).max()) + 0.5
    return 2 * np.round(normalized * steps) / steps - 1


def dorefa_weight_backward(weight: np.ndarray, upstream: np.ndarray) -> np.ndarray:
    """Return the gradient of :func:`dorefa_weight` with a straight-through gradient for rounding.

    With ``t = tanh(w)`` and ``m = max|t|`` the smooth part is ``t / m``: every element gets
    ``(1 - t^2) g / m``, and the element that is the maximum also gets the gradient of ``m``.
    """
    squashed = np.tanh(np.asarray(weight, dtype=np.float64))
    upstream = np.asarray(upstream, dtype=np.float64)
    flat = int(np.abs(squashed).argmax())
    largest = np.abs(squashed).ravel()[flat]
    gradient = upstream / largest
    through_max = -(upstream * squashed).sum() / largest**2 * np.sign(squashed.ravel()[flat])
    gradient.ravel()[flat] += through_max
    return gradient * (1 - squashed**2)
