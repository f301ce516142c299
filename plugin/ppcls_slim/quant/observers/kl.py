"""``observer: kl``: the clipped, quantized distribution that is nearest to the observed one in relative entropy.

Migacz, "8-bit Inference with TensorRT", GTC 2017: outliers are added to the last bin of the clipped reference
distribution; the quantized one spreads the count of every level evenly over the bins of it that were not empty.
"""

from __future__ import annotations

import numpy as np

from ...config.quant import QuantConfig
from ..observer import InputStatistics, Observer

CANDIDATES = 256
"""Clipping thresholds that are tried, evenly between the fewest and all of the bins."""


def scale(statistics: InputStatistics, levels: int, options: QuantConfig) -> float:
    """Return the best of the candidates; the first bin, which holds the zeros of a ReLU, is left out."""
    largest = max(statistics.magnitudes)
    counts = statistics.counts.astype(np.float64)
    counts[0] = 0
    ends = np.flatnonzero(counts)
    if not len(ends) or ends[-1] <= levels:
        return largest  # fewer bins than levels: nothing is gained by clipping
    last = int(ends[-1]) + 1
    candidates = np.unique(np.linspace(levels + 1, last, CANDIDATES).astype(int))
    entropies = [divergence(counts, int(one), levels + 1) for one in candidates]
    chosen = int(candidates[int(np.argmin(entropies))])
    return min(chosen * statistics.width, largest)


def divergence(counts: np.ndarray, kept: int, levels: int) -> float:
    """Relative entropy of the distribution clipped behind ``kept`` bins to its quantized form.

    Args:
        counts: of the bins, ``[bins]``.
        kept: number of bins, at least ``levels``.
        levels: of the quantized distribution, 0 included.

    Returns:
        The sum of ``p log(p / q)``, infinite where ``q`` is 0 and ``p`` is not.
    """
    inside = counts[:kept]
    reference = inside.copy()
    reference[-1] += counts[kept:].sum()
    starts = np.arange(levels) * kept // levels
    filled = inside > 0
    totals, sizes = np.add.reduceat(inside, starts), np.add.reduceat(filled.astype(np.float64), starts)
    means = np.divide(totals, sizes, out=np.zeros(levels), where=sizes > 0)
    quantized = np.where(filled, np.repeat(means, np.diff(np.append(starts, kept))), 0.0)
    if not quantized.any():
        return float("inf")
    p, q = reference / reference.sum(), quantized / quantized.sum()
    some = p > 0
    if (q[some] == 0).any():
        return float("inf")
    return float((p[some] * np.log(p[some] / q[some])).sum())


OBSERVER = Observer(scale, needs_histogram=True)
