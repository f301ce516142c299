"""``observer: moving_average``: the mean over the batches of their largest magnitude.

A moving average of the magnitudes, which is what the fake quantizers keep in training, converges to it.
"""

from __future__ import annotations

from ...config.quant import QuantConfig
from ..observer import InputStatistics, Observer


def scale(statistics: InputStatistics, levels: int, options: QuantConfig) -> float:
    """Return the mean of the magnitudes."""
    return sum(statistics.magnitudes) / len(statistics.magnitudes)


OBSERVER = Observer(scale)
