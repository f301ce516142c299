"""Put QuantizeLinear and DequantizeLinear (Q/DQ) into a float graph, where an engine wants them.

Three placements from the same scales:

- ``onnxruntime``: Q/DQ on the inputs *and* behind the outputs of quantized layers; all that read a feature map read
  the same values; additions, pools and concatenations between quantized layers run in int8, too. Feature maps are
  uint8, with zero point 128 where they have negative values, and 0 where training had an unsigned grid or behind a
  ReLU: only then does ONNX Runtime fuse it.
- ``openvino``: as for ONNX Runtime, but none behind layers that only float operators read (hard-swish, products):
  OpenVINO runs those layers in int8 all the same, and rounding there costs time and accuracy. Biases stay float.
- ``tensorrt``: Q/DQ on the inputs only, int8 with zero point 0, and on the shortcut before an addition.

Sources: ONNX Runtime, ``docs/performance/model-optimizations/quantization.md`` and ``qdq_selectors.cc``; NVIDIA,
"Explicit Quantization" in the TensorRT documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, Optional

import numpy as np
import onnx
from onnx import helper

from ...compat.quantized_program import LARGEST, LayerScales
from .graph import Graph, rename_input

Placement = Literal["onnxruntime", "openvino", "tensorrt"]
Measure = Callable[[Sequence[str]], Mapping[str, float]]
"""Names of tensors -> the largest magnitude of each."""

FUSED = ("Relu", "Clip")
"""Engines compute them with the layer before."""
INT8_BETWEEN = ("Add", "Concat", "MaxPool", "AveragePool", "GlobalAveragePool")
"""Run in int8 between quantized layers."""
SHAPES = ("Flatten", "Reshape", "Squeeze", "Unsqueeze", "Transpose", "Identity")


def quantize_graph(graph: Graph, layers: Mapping[str, LayerScales], placement: Placement, measure: Measure) -> None:
    """Quantize the layers, in place.

    Args:
        graph: float, batch normalization folded.
        layers: name of a weight -> its grids; other layers stay float.
        placement: see above.
        measure: of feature maps whose scale training does not know.
    """
    quantized = [node for node in graph.nodes if len(node.input) > 1 and node.input[1] in layers]
    steps: dict[str, dict[int, float]] = {}  # tensor -> id of the node that reads it -> step
    for node in quantized:
        steps.setdefault(node.input[0], {})[id(node)] = layers[node.input[1]].input_step
    if placement == "tensorrt":
        extra = _shortcuts(graph, quantized)
    else:
        extra = _between(graph, quantized, steps, every_output=placement == "onnxruntime")
    largest = measure(list(extra))
    unsigned = {node.input[0] for node in quantized if layers[node.input[1]].unsigned}
    writer = _Writer(graph, placement, unsigned)
    for node in quantized:
        scales = layers[node.input[1]]
        if placement == "onnxruntime":
            writer.bias(node, scales)
        writer.weight(node, scales)
    readers = graph.consumers()
    for name, own in steps.items():
        shared = placement != "tensorrt"
        for step in dict.fromkeys(own.values()):
            chosen = [n for n in readers[name] if own.get(id(n)) == step or (shared and _joins(n, own, step))]
            writer.activation(name, step, chosen)
    for name, nodes in extra.items():
        writer.activation(name, max(largest[name], 1e-6) / LARGEST, nodes)
    graph.replace_nodes(_sorted([*writer.nodes, *graph.nodes], graph))


def _joins(node: onnx.NodeProto, own: Mapping[int, float], step: float) -> bool:
    """Whether an operator between quantized layers reads the values that the first of them reads."""
    return id(node) not in own and node.op_type in INT8_BETWEEN and step == max(own.values())


def _shortcuts(graph: Graph, quantized: Sequence[onnx.NodeProto]) -> dict[str, list[onnx.NodeProto]]:
    """Of every addition behind a quantized layer, the input that does not come from it."""
    producers = graph.producers()
    found: dict[str, list[onnx.NodeProto]] = {}
    made = {node.output[0] for node in quantized}
    for node in graph.nodes:
        if node.op_type == "Add" and not any(graph.has_value(name) for name in node.input):
            others = [name for name in node.input if name not in made and name in producers]
            if len(others) == 1:
                found.setdefault(others[0], []).append(node)
    return found


def _between(
    graph: Graph, quantized: Sequence[onnx.NodeProto], steps: Mapping[str, Mapping[int, float]], every_output: bool
) -> dict[str, list[onnx.NodeProto]]:
    """Feature maps without a step that have to be int8: outputs of quantized layers, and of what stands between.

    Args:
        graph: float.
        quantized: the layers.
        steps: tensor -> id of the node that reads it -> step.
        every_output: also outputs of layers that only float operators read.
    """
    consumers, outputs, producers = graph.consumers(), graph.outputs(), graph.producers()
    found: dict[str, list[onnx.NodeProto]] = {}
    in_int8 = set(steps)
    for node in graph.nodes:
        is_layer = any(node is one for one in quantized) and node.op_type == "Conv"
        feature_maps = [name for name in node.input if name in producers or name in in_int8]
        between = node.op_type in INT8_BETWEEN and feature_maps and all(name in in_int8 for name in node.input)
        if not (is_layer or between):
            continue
        name = node.output[0]
        after = consumers[name]
        if len(after) == 1 and after[0].op_type in FUSED:
            name = after[0].output[0]
        if not every_output and name not in steps and not any(one.op_type in INT8_BETWEEN for one in consumers[name]):
            continue
        in_int8.add(name)
        if name not in steps and name not in outputs and consumers[name]:
            found[name] = consumers[name]
    return found


class _Writer:
    def __init__(self, graph: Graph, placement: Placement, unsigned: Collection[str]):
        self.graph, self.placement, self.unsigned = graph, placement, unsigned
        self.producers = graph.producers()
        self.nodes: list[onnx.NodeProto] = []

    def weight(self, node: onnx.NodeProto, scales: LayerScales) -> None:
        """int8 values and a DequantizeLinear in place of a float weight."""
        name = node.input[1]
        if self.graph.has_value(f"{name}.int8"):
            return rename_input(node, name, f"{name}.dequantized")
        weight, steps = self.graph.value(name), scales.weight_steps
        shape = [1] * weight.ndim
        per_channel = len(steps) > 1
        if per_channel:
            shape[scales.axis] = -1
        steps = np.maximum(steps, np.finfo(np.float32).tiny)
        integers = np.clip(np.rint(weight / steps.reshape(shape)), -LARGEST, LARGEST).astype(np.int8)
        stored = self.graph.add_value(f"{name}.int8", integers)
        scale = self.graph.add_value(
            f"{name}.scale", steps.astype(np.float32) if per_channel else np.float32(steps[0])
        )
        zero = np.zeros(len(steps) if per_channel else (), np.int8)
        inputs = [stored, scale, self.graph.add_value(f"{name}.zero", zero)]
        output = f"{name}.dequantized"
        axis = {"axis": scales.axis} if per_channel else {}
        self.nodes.append(helper.make_node("DequantizeLinear", inputs, [output], name=output, **axis))
        rename_input(node, name, output)

    def bias(self, node: onnx.NodeProto, scales: LayerScales) -> None:
        """Give a layer its bias as int32, with the product of the steps of input and weight as its step.

        ONNX Runtime runs a convolution, and the Gemm that it makes of a linear layer and its bias, in int8 with such
        a bias only.
        """
        reader, name = self._bias_of(node)
        if name is None:
            return
        unsigned = self._is_unsigned(node.input[0])
        steps = scales.weight_steps * scales.input_step * (LARGEST / 255 if unsigned else 1)
        steps = np.maximum(steps, np.finfo(np.float32).tiny).astype(np.float32)
        if len(steps) == 1:
            steps = steps.reshape(())
        integers = np.clip(np.rint(self.graph.value(name) / steps.astype(np.float64)), -(2**31), 2**31 - 1)
        stored = self.graph.add_value(f"{name}.int32", integers.astype(np.int32))
        scale = self.graph.add_value(f"{name}.scale", steps)
        output = f"{name}.dequantized"
        axis = {"axis": 0} if steps.ndim else {}
        self.nodes.append(helper.make_node("DequantizeLinear", [stored, scale], [output], name=output, **axis))
        rename_input(reader, name, output)

    def _bias_of(self, node: onnx.NodeProto) -> tuple[onnx.NodeProto, Optional[str]]:
        """The node that adds a bias, and its name; None where a layer has none that it alone reads."""
        consumers = self.graph.consumers()
        reader, places = node, list(node.input[2:3])
        if node.op_type == "MatMul":
            after, weight = consumers[node.output[0]], self.graph.value(node.input[1])
            if len(after) != 1 or after[0].op_type != "Add" or weight.ndim != 2:
                return node, None
            reader = after[0]
            places = [
                one
                for one in reader.input
                if self.graph.has_value(one) and self.graph.value(one).shape == weight.shape[1:]
            ]
        return reader, next((one for one in places if len(consumers[one]) == 1), None)

    def activation(self, name: str, step: float, readers: Sequence[onnx.NodeProto]) -> None:
        """A pair of Q and DQ on a feature map, for some of the nodes that read it."""
        if not readers:
            return
        tag = f"{name}.{len(self.nodes)}"
        zero_point = np.array(0, np.int8)
        if self.placement != "tensorrt":
            unsigned = self._is_unsigned(name)
            zero_point = np.array(0 if unsigned else LARGEST + 1, np.uint8)
            step = step * LARGEST / 255 if unsigned else step
        scale = self.graph.add_value(f"{tag}.scale", np.array(step, np.float32))
        zero = self.graph.add_value(f"{tag}.zero", zero_point)
        quantized, dequantized = f"{tag}.quantized", f"{tag}.dequantized"
        self.nodes += [
            helper.make_node("QuantizeLinear", [name, scale, zero], [quantized], name=quantized),
            helper.make_node("DequantizeLinear", [quantized, scale, zero], [dequantized], name=dequantized),
        ]
        for node in readers:
            rename_input(node, name, dequantized)

    def _is_unsigned(self, name: str) -> bool:
        if name in self.unsigned:
            return True
        node = self.producers.get(name)
        while node is not None and node.op_type in (*SHAPES, "MaxPool", "AveragePool", "GlobalAveragePool"):
            node = self.producers.get(node.input[0])
        if node is not None and node.op_type == "Clip":
            low = node.input[1] if len(node.input) > 1 else ""
            return self.graph.has_value(low) and bool(self.graph.value(low).min() >= 0)
        return node is not None and node.op_type in ("Relu", "Sigmoid", "HardSigmoid", "Softmax")


def _sorted(nodes: Sequence[onnx.NodeProto], graph: Graph) -> list[onnx.NodeProto]:
    """Every node behind those whose outputs it reads."""
    made = {name for node in nodes for name in node.output}
    done: set[str] = set()
    ordered, waiting = [], list(nodes)
    while waiting:
        later = []
        for node in waiting:
            if all(name in done or name not in made for name in node.input):
                ordered.append(node)
                done.update(node.output)
            else:
                later.append(node)
        waiting = later
    return ordered
