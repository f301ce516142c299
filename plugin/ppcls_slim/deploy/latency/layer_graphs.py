"""ONNX graphs of a single layer, and of what stands around it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from ...prune.latency.meter import LayerPoint
from .frame import groups_of, has_feeder, input_shape, pads_of

OPSET, IR = 17, 8
INPUT, OUTPUT = "x", "out"


def layer_graph(point: LayerPoint, batch: int, alone: bool) -> onnx.ModelProto:
    """Return the graph of a layer.

    Args:
        point: the layer.
        batch: images at once.
        alone: without the layer: only what stands around it, see :mod:`.frame`.
    """
    return _Builder(batch).graph(point, alone)


class _Builder:
    """Nodes and weights of a graph."""

    def __init__(self, batch: int):
        self._batch = batch
        self._random = np.random.default_rng(0)
        self._nodes: list[onnx.NodeProto] = []
        self._weights: list[onnx.TensorProto] = []

    def graph(self, point: LayerPoint, alone: bool) -> onnx.ModelProto:
        shape = point.shape
        last = INPUT
        if has_feeder(point):
            last = self._node("Conv", [last, self._weight([point.inputs, 1, 1, 1])])
        if shape.linear:
            last = self._node("Relu", [last]) if alone else self._linear(last, point)
        elif not alone:
            last = self._convolution(last, point)
        if shape.activation and not alone:
            last = self._activation(last, shape.activation)
        if not shape.linear:
            size = shape.size if alone else shape.output
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
        groups = groups_of(point)
        weight = self._weight([point.outputs, point.inputs // groups, *shape.kernel])
        pads = [pads_of(shape, axis) for axis in range(2)]
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
