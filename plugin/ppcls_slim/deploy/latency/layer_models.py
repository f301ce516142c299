"""Paddle models of a single layer, and of what stands around it, in Paddle Inference."""

from __future__ import annotations

import tempfile
from pathlib import Path

from ...compat.paddle import paddle
from ...prune.latency.meter import LayerPoint
from .. import paddle_inference
from .frame import groups_of, has_feeder, input_shape, pads_of

nn = paddle.nn
ACTIVATIONS = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "hardsigmoid": nn.Hardsigmoid,
    "sigmoid": nn.Sigmoid,
    "swish": nn.Swish,
}


def layer_predictor(point: LayerPoint, threads: int, alone: bool) -> paddle_inference.Predictor:
    """Save a layer and load it.

    Args:
        point: the layer.
        threads: CPU threads.
        alone: only what stands around it, see :mod:`.frame`.
    """
    with paddle.utils.unique_name.guard(), tempfile.TemporaryDirectory() as scratch:
        model = nn.Sequential(*_layers(point, alone))
        model.eval()
        paddle_inference.save(model, input_shape(point, 1)[1:], Path(scratch))
        return paddle_inference.Predictor(Path(scratch), "cpu", threads, "fp32")


def _layers(point: LayerPoint, alone: bool) -> list[paddle.nn.Layer]:
    """Layers with a weight among them: Paddle cannot save a model without."""
    shape = point.shape
    if shape.linear:
        layers = [nn.Linear(point.inputs, 1 if alone else point.outputs)]
    else:
        layers = [nn.Conv2D(1, point.inputs, 1)] if has_feeder(point) else []
        layers += [] if alone else [_convolution(point)]
    if shape.activation and not alone:
        layers.append(ACTIVATIONS[shape.activation]())
    if not shape.linear:
        layers.append(nn.MaxPool2D(1, stride=list(shape.size if alone else shape.output)))
    if alone and not has_feeder(point) and not shape.linear:
        layers.append(nn.BatchNorm2D(point.inputs))  # of one position
    return layers


def _convolution(point: LayerPoint) -> paddle.nn.Layer:
    shape = point.shape
    pads = [pad for axis in range(2) for pad in pads_of(shape, axis)]
    return nn.Conv2D(
        point.inputs,
        point.outputs,
        list(shape.kernel),
        stride=list(shape.stride),
        padding=pads,
        dilation=list(shape.dilation),
        groups=groups_of(point),
    )
