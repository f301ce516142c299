"""What an observer is, and what it is given: statistics of the input of a layer over the calibration batches."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from ..compat.paddle import paddle
from ..config.quant import OBSERVERS, QuantConfig
from ..config.quant_methods import AUTO_OBSERVER, MOVING_AVERAGE

BINS = 4096
SIGNED_INT8 = 127
"""Largest integer."""
SMALLEST_SCALE = 1e-6
"""Scale of a layer whose inputs were all zero."""


@dataclass
class InputStatistics:
    """Statistics of the input of one layer, in memory that does not grow with the inputs.

    Attributes:
        with_histogram: whether ``counts`` is kept.
        low: smallest value, at most 0.
        magnitudes: largest magnitude in each batch.
        means: mean magnitude in each batch.
        counts: magnitudes in each bin ``[BINS]``; bin ``i`` is from ``i * width`` to ``(i + 1) * width``.
        width: of a bin, a power of two, so that doubling it merges bins exactly; 0 before a value other than 0.
    """

    with_histogram: bool = False
    low: float = 0.0
    magnitudes: list[float] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    counts: np.ndarray = field(default_factory=lambda: np.zeros(BINS, np.int64))
    width: float = 0.0

    def observe(self, x: paddle.Tensor) -> None:
        """Take one batch into account."""
        low, high = x.min().item(), x.max().item()
        self.low = min(self.low, low)
        largest = max(-low, high)
        self.magnitudes.append(largest)
        self.means.append(x.abs().mean().item())
        if self.with_histogram and math.isfinite(largest):
            self._count(x, largest)

    @property
    def mean_magnitude(self) -> float:
        """Mean magnitude over the batches; 0 without any."""
        return sum(self.means) / max(len(self.means), 1)

    def _count(self, x: paddle.Tensor, largest: float) -> None:
        if largest > 0 and self.width == 0:
            self.width = 2.0 ** math.floor(math.log2(largest / BINS))
        while largest > BINS * self.width:
            pairs = self.counts.reshape(-1, 2).sum(axis=1)
            self.counts = np.concatenate([pairs, np.zeros(BINS // 2, np.int64)])
            self.width *= 2
        if self.width == 0:
            self.counts[0] += x.size
            return
        # In units of a bin, because Paddle 2.6 takes whole numbers for the limits.
        found = paddle.histogram(x.astype("float32").abs() / self.width, BINS, 0, BINS)
        self.counts += found.numpy().astype(np.int64)


@dataclass(frozen=True)
class Observer:
    """How a scale is chosen. ``quant/observers/<name>.py`` offers one as ``OBSERVER``.

    Attributes:
        scale: ``scale(statistics, levels, options)`` returns the largest magnitude that is represented: Paddle's
            scales are that, and not the step of the integers. ``levels`` is the largest integer: 127 for 8 bits,
            255 where the grid is unsigned.
        needs_histogram: whether it reads ``statistics.counts``.
    """

    scale: Callable[[InputStatistics, int, QuantConfig], float]
    needs_histogram: bool = False


@dataclass(frozen=True)
class InputRange:
    """What calibration found about the input of one layer.

    Attributes:
        low: smallest value, at most 0.
        input_scale: largest magnitude that is represented.
        mean_magnitude: mean over the batches.
    """

    low: float
    input_scale: float
    mean_magnitude: float = 0.0


def input_range(statistics: InputStatistics, settings: QuantConfig, observer: Observer) -> InputRange:
    """Choose the scale of a layer."""
    unsigned = settings.unsigned_where_rectified and statistics.low >= 0
    levels = 2 ** (settings.activation_bits - (0 if unsigned else 1)) - 1
    scale = observer.scale(statistics, levels, settings)
    return InputRange(statistics.low, max(scale, SMALLEST_SCALE), statistics.mean_magnitude)


def observer_of(settings: QuantConfig, trains: bool) -> Observer:
    """Return the observer that ``Slim.quant`` asks for.

    An alpha above all inputs has no gradient (PACT, equation 3), so that it stays where it starts; the one with the
    least squared error clips some inputs. Without training, it is not worth clipping them, and on the signed grid of
    int8 neither: engines clip at -128 steps, and training at -127.

    Args:
        settings: ``Slim.quant``.
        trains: whether training follows.

    Raises:
        SlimError: it is an entry point that does not give an :class:`Observer`.
    """
    if settings.observer != AUTO_OBSERVER:
        return OBSERVERS.get(settings.observer, Observer)
    clipping, mean = OBSERVERS.get("mse", Observer), OBSERVERS.get(MOVING_AVERAGE, Observer)
    if not (trains and settings.uses_pact):
        return mean

    def scale(statistics: InputStatistics, levels: int, options: QuantConfig) -> float:
        return (mean if levels == SIGNED_INT8 else clipping).scale(statistics, levels, options)

    return Observer(scale, needs_histogram=True)
