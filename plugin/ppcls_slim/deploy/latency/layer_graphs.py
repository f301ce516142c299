"""ONNX graphs of a single layer, as it stands in a network.

Engines keep feature maps in layouts of their own. A layer that is fed and read from outside would be timed with the
conversion to and from them. So a convolution of one input channel stands before the layer, and a pooling that reads
one position behind it; the same graph without the layer is timed, too, and subtracted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...prune.latency.meter import LayerPoint, LayerShape

OPSET, IR = 17, 8
INPUT, OUTPUT = "x", "out"


def layer_graph(point: LayerPoint, batch: int) -> onnx.ModelProto:
    """Return a graph with the layer."""
    return _Builder(batch).graph(point.shape, point.inputs, point.outputs)


def frame_graph(point: LayerPoint, batch: int) -> onnx.ModelProto:
    """Return the same graph without the layer."""
    return _Builder(batch).graph(point.shape, point.inputs, None)


def input_shape(point: LayerPoint, batch: int) -> list[int]:
    """Shape of the input of both."""
    shape = point.shape
    if shape.linear:
        return [batch, shape.size[1], point.inputs] if shape.size[1] > 1 else [batch, point.inputs]
    return [batch, _fed(point.inputs), *shape.size]


def frame_key(point: LayerPoint) -> tuple[object, ...]:
    """Equal for points whose graphs without the layer are equal."""
    return point.shape.linear, point.shape.size, point.inputs


def _fed(inputs: int) -> int:
    """Channels of the input of the graph: those of an image are fed as they are."""
    return inputs if inputs <= 4 else 1


class _Builder:
    """Nodes and weights of a graph."""

    def __init__(self, batch: int):
        self._batch = batch
        self._random = np.random.default_rng(0)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def graph(self, shape: LayerShape, inputs: int, outputs: Optional[int]) -> onnx.ModelProto:
        point = LayerPoint(shape, inputs, outputs or inputs)
        last = INPUT
        if shape.linear:
            last = self._linear(last, point) if outputs else self._node("Relu", [last])
        else:
            if _fed(inputs) != inputs:
                last = self._node("Conv", [last, self._weight([inputs, 1, 1, 1])])
            if outputs:
                last = self._convolution(last, point)
        if outputs and shape.activation:
            last = self._activation(last, shape.activation)
        if not shape.linear:
            size = shape.output if outputs else shape.size
            last = self._node("MaxPool", [last], kernel_shape=[1, 1], strides=list(size))
        self._nodes.append(helper.make_node("Identity", [last], [OUTPUT]))
        rank = len(input_shape(point, self._batch))
        graph = helper.make_graph(
            self._nodes,
            "layer",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, input_shape(point, self._batch))],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [None] * rank)],
            self._weights,
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR)

    def _linear(self, last: str, point: LayerPoint) -> str:
        product = self._node("MatMul", [last, self._weight([point.inputs, point.outputs])])
        return self._node("Add", [product, self._weight([point.outputs])])

    def _convolution(self, last: str, point: LayerPoint) -> str:
        shape = point.shape
        groups = _groups(point)
        weight = self._weight([point.outputs, point.inputs // groups, *shape.kernel])
        pads = [_pads(shape, axis) for axis in range(2)]
        return self._node(
            "Conv",
            [last, weight, self._weight([point.outputs])],
            kernel_shape=list(shape.kernel),
            strides=list(shape.stride),
            dilations=list(shape.dilation),
            group=groups,
            pads=[pads[0][0], pads[1][0], pads[0][1], pads[1][1]],
        )

    def _activation(self, last: str, name: str) -> str:
        if name == "relu6":
            return self._node("Clip", [last, self._constant(0.0), self._constant(6.0)])
        if name == "swish":
            return self._node("Mul", [last, self._node("Sigmoid", [last])])
        if name == "hardsigmoid":
            return self._node("HardSigmoid", [last], alpha=1 / 6, beta=0.5)
        return self._node({"relu": "Relu", "sigmoid": "Sigmoid", "hardswish": "HardSwish"}[name], [last])

    def _node(self, kind: str, inputs: Sequence[str], **attributes: object) -> str:
        output = f"t{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def _weight(self, shape: Sequence[int]) -> str:
        return self._initializer(0.05 * self._random.standard_normal(shape, dtype=np.float32))

    def _constant(self, value: float) -> str:
        return self._initializer(np.asarray(value, dtype=np.float32))

    def _initializer(self, value: np.ndarray) -> str:
        name = f"w{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(value, name))
        return name


def _groups(point: LayerPoint) -> int:
    shape = point.shape
    if shape.grouping == "dense":
        return 1
    return point.inputs if shape.grouping == "depthwise" else point.inputs // shape.group_inputs


def _pads(shape: LayerShape, axis: int) -> tuple[int, int]:
    """What has to be padded for an output of this size, the smaller half first."""
    reach = shape.dilation[axis] * (shape.kernel[axis] - 1) + 1
    total = max(0, (shape.output[axis] - 1) * shape.stride[axis] + reach - shape.size[axis])
    return total // 2, total - total // 2
