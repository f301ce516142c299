"""``observer: min_max``: the largest magnitude of all batches; nothing that calibration saw is clipped."""

from __future__ import annotations

from ...config.quant import QuantConfig
from ..observer import InputStatistics, Observer


def scale(statistics: InputStatistics, levels: int, options: QuantConfig) -> float:
    """Return the largest magnitude."""
    return max(statistics.magnitudes)


OBSERVER = Observer(scale)
