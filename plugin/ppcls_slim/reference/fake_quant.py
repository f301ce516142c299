"""Fake quantization in float64, as Paddle's ``fake_quantize_dequantize_*`` operators compute it.

PaddleSlim's QAT uses them through ``paddle.nn.quant.quant_layers``. All are signed and symmetric:
``b`` bits give the integers from ``-(2^(b-1) - 1)`` to ``2^(b-1) - 1``, also for outputs of a ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def round_half_away(x: np.ndarray) -> np.ndarray:
    """Round to the nearest integer, halves away from zero (Paddle's ``round_type`` 1, which its layers use)."""
    return np.copysign(np.floor(np.abs(x) + 0.5), x)


def quantize_dequantize(x: np.ndarray, scale: float | np.ndarray, bits: int = 8) -> np.ndarray:
    """Return ``round(clip(x, -s, s) n / s) s / n`` with ``n = 2^(bits - 1) - 1``; zero where the scale ``s`` is 0."""
    x = np.asarray(x, dtype=np.float64)
    scale = np.asarray(scale, dtype=np.float64)
    steps = 2 ** (bits - 1) - 1
    safe = np.where(scale > 0, scale, 1.0)
    quantized = round_half_away(np.clip(x, -scale, scale) / safe * steps)
    return quantized * scale / steps


def abs_max(x: np.ndarray, bits: int = 8) -> tuple[np.ndarray, float]:
    """Return the tensor quantized by its largest magnitude, and the scale (``FakeQuantAbsMax``)."""
    scale = float(np.abs(np.asarray(x, dtype=np.float64)).max())
    return quantize_dequantize(x, scale, bits), scale


def channel_wise_abs_max(x: np.ndarray, bits: int = 8, axis: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Return the tensor with every channel quantized by its largest magnitude (``FakeQuantChannelWiseAbsMax``).

    Args:
        x: a weight; ``[out_c, in_c, k_h, k_w]`` with axis 0, Paddle's linear ``[in, out]`` with axis 1.

    Returns:
        (tensor, scales ``[size of the axis]``).
    """
    x = np.asarray(x, dtype=np.float64)
    others = tuple(a for a in range(x.ndim) if a != axis)
    scale = np.abs(x).max(axis=others, keepdims=True)
    return quantize_dequantize(x, scale, bits), scale.ravel()


def backward(upstream: np.ndarray) -> np.ndarray:
    """Return the gradient with respect to the input: the upstream gradient, unchanged.

    Paddle's straight-through estimator passes it everywhere, also where the value was clipped.
    """
    return np.array(upstream, dtype=np.float64)


@dataclass
class MovingAverageAbsMax:
    """``FakeQuantMovingAverageAbsMax``: the scale is a moving average of the largest magnitudes.

    ``state = r state + 1``, ``accum = r accum + max|x|``, ``scale = accum / state``; both start at 1,
    so the first scale lies between 1 and the first maximum. Values above the scale are clipped.
    """

    bits: int = 8
    moving_rate: float = 0.9
    state: float = 1.0
    accum: float = 1.0
    scale: float = 0.001

    def train(self, x: np.ndarray) -> np.ndarray:
        """Update the average with a batch, and return the batch quantized by the new scale."""
        self.state = self.moving_rate * self.state + 1
        self.accum = self.moving_rate * self.accum + float(np.abs(np.asarray(x, dtype=np.float64)).max())
        self.scale = self.accum / self.state
        return quantize_dequantize(x, self.scale, self.bits)

    def eval(self, x: np.ndarray) -> np.ndarray:
        """Return the batch quantized by the current scale."""
        return quantize_dequantize(x, self.scale, self.bits)
