"""``observer: percentile``: the magnitude that ``percentile`` % of the inputs do not exceed, zeros included."""

from __future__ import annotations

import numpy as np

from ...config.quant import QuantConfig
from ..observer import InputStatistics, Observer


def scale(statistics: InputStatistics, levels: int, options: QuantConfig) -> float:
    """Return the percentile, to the width of a bin of the histogram, and at most the largest magnitude."""
    below = np.cumsum(statistics.counts)
    wanted = options.percentile / 100 * below[-1]
    bin_of = int(np.searchsorted(below, wanted))
    before = below[bin_of - 1] if bin_of else 0
    inside = (wanted - before) / max(statistics.counts[bin_of], 1)
    return min(float(bin_of + inside) * statistics.width, max(statistics.magnitudes))


OBSERVER = Observer(scale, needs_histogram=True)
