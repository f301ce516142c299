"""Latency as a function of width: a staircase, whose steps are measured once for a kind of layer.

Engines compute channels in blocks. With 65 outputs a convolution may take as long as with 80, or longer. The
*effective* width of 65 is then 80, or more: the one at which the line through the multiples of 16 takes as long.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from .meter import LayerPoint, LayerShape

BLOCK = 16
RESIDUES = (1, 2, 4, 5, 8, 9, 12, 13)
"""Positions in a block at which layers are measured; between them the staircase is a line."""
BASES = (64, 96)
TOP = 128
OTHER = 64
"""Width of the axis that is not looked at."""
SAME = 0.3
"""A width that saves less than this share of what it would save on a line saves nothing."""
SHARES = (1.0, 0.75, 0.5, 0.25, 0.125)
"""Of the dense width, at which layers are measured."""
NARROW = 32
"""Up to here, every multiple of four is measured."""
RESOLUTION = 1e-3
"""Milliseconds: smaller differences are none either."""
NOISE = 0.03
"""Differences below this share between neighbouring widths are none."""


@dataclass(frozen=True)
class Staircase:
    """Effective widths.

    Attributes:
        steps: effective positions in a block, in blocks, ``[BLOCK]``; the first is 0.
    """

    steps: np.ndarray

    @property
    def block(self) -> int:
        """The largest power of two in whose middle a width costs as much as at its end; 1 where there is none."""
        for block in (BLOCK, BLOCK // 2, BLOCK // 4):
            if self.steps[block // 2] >= block / BLOCK:
                return block
        return 1

    def __call__(self, widths: np.ndarray) -> np.ndarray:
        """Return the effective widths."""
        whole = np.rint(np.asarray(widths, dtype=np.float64)).astype(np.int64)
        return np.asarray(whole // BLOCK * BLOCK + BLOCK * self.steps[whole % BLOCK])


def linear() -> Staircase:
    """Every width is its own effective width."""
    return Staircase(np.arange(BLOCK) / BLOCK)


def axes_of_shape(shape: LayerShape) -> tuple[str, ...]:
    """Which axes of a layer have widths of their own."""
    return ("inputs", "outputs") if shape.grouping == "dense" else ("outputs",)


def probed(shape: LayerShape) -> LayerShape:
    """The layer that stands for all of its kind: kernel, grouping, and whether there is more than one position."""
    one = shape.output == (1, 1) or shape.linear
    size = (1, 1) if one else (14, 14)
    stride = shape.stride if shape.linear else (1, 1)
    return replace(shape, size=size, output=size, stride=stride, activation="")


def probe(shape: LayerShape, axis: str) -> list[LayerPoint]:
    """Return the points at which the steps of an axis are measured."""
    widths = sorted({TOP, *(base + r for base in BASES for r in (0, *RESIDUES))})
    return [_at(shape, axis, width) for width in widths]


def staircase(shape: LayerShape, axis: str, times: Mapping[LayerPoint, float]) -> Staircase:
    """Find the steps.

    Args:
        shape: of :func:`probed`.
        axis: ``inputs`` or ``outputs``.
        times: milliseconds of the points of :func:`probe`.
    """

    def at(width: int) -> float:
        return times[_at(shape, axis, width)]

    slope = (at(TOP) - at(BASES[0])) / (TOP - BASES[0]) * BLOCK
    if slope <= NOISE * at(BASES[0]):
        return linear()
    steps = [float(np.median([(at(base + r) - at(base)) / slope for base in BASES])) for r in RESIDUES]
    values = np.interp(np.arange(BLOCK), [0, *RESIDUES, BLOCK], [0.0, *steps, 1.0])
    same = 1.0 - values < SAME * (1.0 - np.arange(BLOCK) / BLOCK)
    return Staircase(np.where(same, np.maximum(values, 1.0), np.maximum(values, 0.0)))


def block_of(stairs: Sequence[Staircase]) -> int:
    """Return how many channels an engine computes at once: the most that any kind of layer does; 1 for no staircase.

    Between layers, where nothing is measured, engines work in the same blocks: a width between them costs there what
    it saved in a layer.
    """
    return max((step.block for step in stairs), default=1)


def knots(dense: int) -> list[int]:
    """Return the widths at which a layer of this width is measured."""
    if dense <= NARROW:
        return sorted({dense, *range(4, dense, 4)})
    multiples = {max(BLOCK, round(share * dense / BLOCK) * BLOCK) for share in SHARES[1:]}
    return sorted({dense, *(width for width in multiples if width < dense)})


@dataclass(frozen=True)
class Surface:
    """Milliseconds of a layer as a function of the width of each of its axes.

    Attributes:
        knots: effective widths, ascending, for each axis.
        values: milliseconds, ``[len(knots of the first axis), ...]``.
        maps: effective widths of the widths of each axis; None where every knot is one itself.
    """

    knots: tuple[np.ndarray, ...]
    values: np.ndarray
    maps: tuple[Optional[Staircase], ...]

    def __call__(self, sizes: Sequence[np.ndarray]) -> np.ndarray:
        """Return the milliseconds at some sizes, whose arrays broadcast."""
        places = [_place(_effective(step, size), knots) for step, size, knots in zip(self.maps, sizes, self.knots)]
        total = np.zeros(np.broadcast_shapes(*(low.shape for low, _ in places)))
        for corner in np.ndindex(*(2,) * len(places)):
            weight = np.ones_like(total)
            index = []
            for upper, (low, share), knots in zip(corner, places, self.knots):
                weight = weight * (share if upper else 1.0 - share)
                index.append(np.minimum(low + upper, len(knots) - 1))
            total = total + weight * self.values[tuple(np.broadcast_arrays(*index))]
        return np.maximum(total, 0.0)


def surface(widths: Sequence[Sequence[int]], values: np.ndarray, maps: Sequence[Staircase]) -> Surface:
    """Make a surface of what was measured.

    Args:
        widths: at which was measured, ascending, for each axis.
        values: milliseconds, one axis each.
        maps: steps of each axis.
    """
    values = np.asarray(values, dtype=np.float64).copy()
    for axis in range(values.ndim):
        _without_noise(np.moveaxis(values, axis, 0))
    own = tuple(None if own[-1] <= NARROW else step for own, step in zip(widths, maps))
    places = tuple(_ascending(_effective(step, np.asarray(axis))) for step, axis in zip(own, widths))
    return Surface(places, values, own)


def _ascending(places: np.ndarray) -> np.ndarray:
    """At least 1 apart: a dense width may be of the same effective width as the multiple below it."""
    steps = np.maximum(np.diff(places, prepend=places[0] - 1.0), 1.0)
    return np.asarray(places[0] - 1.0 + np.cumsum(steps))


def _without_noise(values: np.ndarray) -> None:
    """Along the first axis, in place: a narrower width is never dearer, nor cheaper by as little as noise."""
    for number in range(len(values) - 2, -1, -1):
        wider = values[number + 1]
        close = values[number] > np.minimum((1 - NOISE) * wider, wider - RESOLUTION)
        values[number] = np.where(close, wider, values[number])


def _effective(step: Optional[Staircase], sizes: np.ndarray) -> np.ndarray:
    if step is None:
        return np.asarray(np.ceil(np.asarray(sizes, dtype=np.float64) / 4 - 1e-9) * 4)
    return step(sizes)


def _place(sizes: np.ndarray, knots: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The knot below each size, and how far it is to the next; beyond the ends the lines go on."""
    if len(knots) == 1:
        return np.zeros(np.shape(sizes), dtype=np.int64), np.zeros(np.shape(sizes))
    low = np.clip(np.searchsorted(knots, sizes, side="right") - 1, 0, len(knots) - 2)
    return low, (sizes - knots[low]) / (knots[low + 1] - knots[low])


def _at(shape: LayerShape, axis: str, width: int) -> LayerPoint:
    if shape.grouping != "dense":
        return LayerPoint(shape, *_grouped(shape, width))
    return LayerPoint(shape, width, OTHER) if axis == "inputs" else LayerPoint(shape, OTHER, width)


def _grouped(shape: LayerShape, outputs: int) -> tuple[int, int]:
    if shape.grouping == "depthwise":
        return outputs, outputs
    groups = max(1, round(outputs / shape.group_outputs))
    return groups * shape.group_inputs, groups * shape.group_outputs
