"""``observer: mse``: the scale with the least mean squared error of clipping and rounding together."""

from __future__ import annotations

import numpy as np

from ...config.quant import QuantConfig
from ..observer import InputStatistics, Observer

CANDIDATES = 256
"""Scales that are tried, evenly from the largest magnitude down to a 256th of it."""


def scale(statistics: InputStatistics, levels: int, options: QuantConfig) -> float:
    """Return the best of the candidates.

    What lies in the first bin of the histogram, the zeros of a ReLU above all, is taken for 0, which costs nothing.
    """
    used = np.flatnonzero(statistics.counts)
    used = used[used > 0]
    if not len(used):
        return max(statistics.magnitudes)
    values, counts = (used + 0.5) * statistics.width, statistics.counts[used].astype(np.float64)
    candidates = max(statistics.magnitudes) * np.arange(1, CANDIDATES + 1) / CANDIDATES
    errors = [float(counts @ (values - _quantized(values, one, levels)) ** 2) for one in candidates]
    return float(candidates[int(np.argmin(errors))])


def _quantized(values: np.ndarray, largest: float, levels: int) -> np.ndarray:
    step = largest / levels
    return np.asarray(np.minimum(np.rint(values / step), levels) * step)


OBSERVER = Observer(scale, needs_histogram=True)
