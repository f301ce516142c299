"""LSQ in float64: the quantizer with a learned step size, forward and backward.

Esser et al., "Learned Step Size Quantization", ICLR 2020, arXiv:1902.08153. Equation numbers are the paper's.
"""

from __future__ import annotations

import math

import numpy as np


def levels(bits: int, unsigned: bool = False) -> tuple[int, int]:
    """Return ``(Q_N, Q_P)``: the integers are from ``-Q_N`` to ``Q_P``.

    Unsigned: 0 and ``2^b - 1``. Signed: ``2^(b-1)`` and ``2^(b-1) - 1``. (The plugin's weights of 8 bits have
    ``Q_N = 127``, as engines have them.)
    """
    if unsigned:
        return 0, 2**bits - 1
    largest: int = 2 ** (bits - 1) - 1
    return largest + 1, largest


def quantize(v: np.ndarray, step: float | np.ndarray, negative: int, positive: int) -> np.ndarray:
    """Return ``v^ = round(clip(v / s, -Q_N, Q_P)) s`` (equations 1 and 2).

    A half is rounded to the even neighbour, as NumPy and PyTorch do; the paper does not say.

    Args:
        v: any shape.
        step: ``s``, positive; one number, or a shape that broadcasts to that of ``v``.
        negative: ``Q_N``.
        positive: ``Q_P``.
    """
    v, step = np.asarray(v, dtype=np.float64), np.asarray(step, dtype=np.float64)
    return np.round(np.clip(v / step, -negative, positive)) * step


def step_derivative(v: np.ndarray, step: float | np.ndarray, negative: int, positive: int) -> np.ndarray:
    """Return ``dv^/ds`` for every element (equation 3), with the shape of ``v``."""
    ratio = np.asarray(v, dtype=np.float64) / np.asarray(step, dtype=np.float64)
    inside = np.round(ratio) - ratio
    return np.where(ratio <= -negative, -float(negative), np.where(ratio >= positive, float(positive), inside))


def backward(
    v: np.ndarray,
    step: float | np.ndarray,
    negative: int,
    positive: int,
    upstream: np.ndarray,
    scale: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients of a loss with respect to ``v`` (equation 5) and to the step.

    Args:
        v: any shape.
        step: as many axes as ``v``, of size 1 where all elements share a step, or one number.
        negative: ``Q_N``.
        positive: ``Q_P``.
        upstream: gradient with respect to the result, with the shape of ``v``.
        scale: of the gradient of the step, :func:`gradient_scale`.

    Returns:
        Gradients with the shapes of ``v`` and of ``step``.
    """
    step, upstream = np.asarray(step, dtype=np.float64), np.asarray(upstream, dtype=np.float64)
    ratio = np.asarray(v, dtype=np.float64) / step
    to_v = np.where((ratio > -negative) & (ratio < positive), upstream, 0.0)
    each = upstream * step_derivative(v, step, negative, positive) * scale
    shared = tuple(axis for axis in range(each.ndim) if step.ndim == 0 or step.shape[axis] == 1)
    return to_v, each.sum(axis=shared).reshape(step.shape)


def gradient_scale(count: int, positive: int) -> float:
    """Return ``g = 1 / sqrt(N Q_P)`` (section 2.2).

    Args:
        count: ``N``: weights, or features of one sample, that share the step.
        positive: ``Q_P``.
    """
    return 1.0 / math.sqrt(count * positive)


def initial_step(mean_magnitude: float | np.ndarray, positive: int) -> float | np.ndarray:
    """Return ``2 <|v|> / sqrt(Q_P)`` (section 2.1), of the initial weights, or of the first batch of activations."""
    return 2.0 * mean_magnitude / math.sqrt(positive)
