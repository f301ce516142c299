"""Milliseconds of every layer of a model as a function of its widths, from a meter."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ...compat.paddle import paddle
from ..analysis import Analysis
from ..width_cost import Axis, Sizes, Term, WidthCost, axes_of
from .calls import Call, calls_of
from .meter import LatencyMeter, LayerPoint, LayerShape
from .staircase import Staircase, Surface, axes_of_shape, block_of, knots, linear, probe, probed, staircase, surface

Widths = tuple[tuple[int, ...], ...]
"""At which a layer is measured, for each of its axes."""


@dataclass(frozen=True)
class Layer:
    """A layer whose latency is known.

    Attributes:
        weight: name of the weight.
        surface: its milliseconds.
        axes: of the surface; empty where no group changes the layer.
        positions: the axes of the weight that those of the surface are.
        dense: milliseconds of the dense layer.
    """

    weight: str
    surface: Surface
    axes: tuple[Axis, ...]
    positions: tuple[int, ...]
    dense: float


@dataclass(frozen=True)
class LayerTimes:
    """What the layers of a model take.

    Attributes:
        layers: one for each run of a layer.
        block: how many outputs the engine computes at once.
    """

    layers: tuple[Layer, ...]
    block: int = 1

    @property
    def fixed(self) -> float:
        """Milliseconds of layers that no group changes."""
        return sum(layer.dense for layer in self.layers if not layer.axes)

    def of_each(self, shapes: Mapping[str, Sequence[int]]) -> dict[str, float]:
        """Return the milliseconds of every weight's layer, in all its runs, where every weight has a shape."""
        times: dict[str, float] = {}
        for layer in self.layers:
            sizes = [np.asarray(shapes[layer.weight][axis]) for axis in layer.positions]
            times[layer.weight] = times.get(layer.weight, 0.0) + float(layer.surface(sizes))
        return times

    def cost(self, scale: float, constant: float) -> WidthCost:
        """Return the latency of the network: ``scale`` times that of the layers, and a constant."""
        terms = [Term(layer.axes, _scaled(layer.surface, scale)) for layer in self.layers if layer.axes]
        return WidthCost(terms, constant + scale * self.fixed, "ms")


def layer_times(analysis: Analysis, model: paddle.nn.Layer, dtype: str, meter: LatencyMeter) -> LayerTimes:
    """Measure every layer of a model at a few widths, or look them up where that was done before.

    Args:
        analysis: of the dense model.
        model: dense.
        dtype: data type of its input.
        meter: measures.
    """
    calls = calls_of(model, analysis, dtype)
    axes = [tuple(own[axis] for axis in _positions(call)) for call, own in zip(calls, _axes(analysis, calls))]
    wanted = {
        (call.shape, _widths(call, own)): (call, own) for call, own in zip(calls, axes)
    }  # equal layers are measured once
    steps = _staircases([shape for shape, _ in wanted], meter)
    times = meter.layers(_rows([(shape, widths) for shape, widths in wanted]))
    found = {key: _surface(*key, times, steps) for key in wanted}
    layers = []
    for call, own in zip(calls, axes):
        curve = found[call.shape, _widths(call, own)]
        changes = any(axis.per_channel for axis in own)
        layers.append(Layer(call.weight, curve, own if changes else (), _positions(call), _dense(curve, call)))
    return LayerTimes(tuple(layers), block_of(list(steps.values())))


def _axes(analysis: Analysis, calls: Sequence[Call]) -> list[tuple[Axis, ...]]:
    """Axes of the weight of each call: those of a convolution, or of a linear layer ``[inputs, outputs]``."""
    shapes = {call.weight: analysis.shapes[call.weight] for call in calls}
    changing = axes_of(analysis.groups, shapes)
    return [changing.get(call.weight, tuple(Axis(float(n), {}) for n in shapes[call.weight])) for call in calls]


def _positions(call: Call) -> tuple[int, ...]:
    """The axes of the weight that its latency depends on: inputs and outputs, or outputs."""
    if call.shape.linear:
        return 0, 1
    return (1, 0) if call.shape.grouping == "dense" else (0,)


def _widths(call: Call, own: Sequence[Axis]) -> Widths:
    dense = {"inputs": call.inputs, "outputs": call.outputs}
    return tuple(
        tuple(knots(dense[name])) if axis.per_channel else (dense[name],)
        for name, axis in zip(axes_of_shape(call.shape), own)
    )


def _staircases(shapes: Sequence[LayerShape], meter: LatencyMeter) -> dict[tuple[LayerShape, str], Staircase]:
    kinds = dict.fromkeys(probed(shape) for shape in shapes if shape.grouping != "grouped")
    wanted = {(kind, axis): probe(kind, axis) for kind in kinds for axis in axes_of_shape(kind)}
    times = meter.layers(list(wanted.values()))
    return {key: staircase(*key, times) for key in wanted}


def _rows(wanted: Sequence[tuple[LayerShape, Widths]]) -> list[list[LayerPoint]]:
    """Points in rows: all layers at their widest, then with one axis narrower, and so on, as networks would run."""
    rows: dict[tuple[int, ...], list[LayerPoint]] = {}
    for shape, widths in wanted:
        for place in np.ndindex(*map(len, widths)):
            level = tuple(len(own) - 1 - at for own, at in zip(widths, place))
            rows.setdefault(level, []).append(_point(shape, [own[at] for own, at in zip(widths, place)]))
    return [list(dict.fromkeys(rows[level])) for level in sorted(rows)]


def _point(shape: LayerShape, widths: Sequence[int]) -> LayerPoint:
    if shape.grouping == "dense":
        return LayerPoint(shape, widths[0], widths[1])
    if shape.grouping == "depthwise":
        return LayerPoint(shape, widths[0], widths[0])
    groups = max(1, round(widths[0] / shape.group_outputs))
    return LayerPoint(shape, groups * shape.group_inputs, groups * shape.group_outputs)


def _surface(
    shape: LayerShape,
    widths: Widths,
    times: Mapping[LayerPoint, float],
    steps: Mapping[tuple[LayerShape, str], Staircase],
) -> Surface:
    values = np.zeros([len(own) for own in widths])
    for place in np.ndindex(*values.shape):
        values[place] = times[_point(shape, [own[at] for own, at in zip(widths, place)])]
    kind = probed(shape)
    maps = [steps.get((kind, axis), linear()) for axis in axes_of_shape(shape)]
    return surface(widths, values, maps)


def _dense(curve: Surface, call: Call) -> float:
    sizes = {"inputs": call.inputs, "outputs": call.outputs}
    return float(curve([np.asarray(sizes[name]) for name in axes_of_shape(call.shape)]))


def _scaled(curve: Surface, scale: float) -> Callable[[Sizes], np.ndarray]:
    return lambda sizes: scale * curve(sizes)
