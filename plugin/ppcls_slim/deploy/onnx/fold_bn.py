"""Fold what follows a convolution channel by channel into it: an added bias, batch normalization.

int8 grids of the weight are folded along.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Optional

import numpy as np
import onnx

from ...compat.quantized_program import LayerScales
from .graph import Graph


def fold_batch_norms(graph: Graph, layers: Mapping[str, LayerScales]) -> dict[str, LayerScales]:
    """Fold every bias and batch normalization that alone reads a convolution's output, in place.

    A weight on the grid ``steps * integers`` keeps its integers, but for their signs: the steps of its channels are
    multiplied by ``|gamma / sqrt(variance + epsilon)|``.

    Args:
        graph: float.
        layers: name of a weight -> its grids.

    Returns:
        ``layers`` with the folded steps.
    """
    scales, consumers, outputs = dict(layers), graph.consumers(), graph.outputs()
    removed: set[str] = set()
    for conv in [node for node in graph.nodes if node.op_type == "Conv" and len(consumers[node.input[1]]) == 1]:
        while conv.output[0] not in outputs and len(consumers[conv.output[0]]) == 1:
            after = consumers[conv.output[0]][0]
            factor_and_shift = _affine(graph, conv, after)
            if factor_and_shift is None:
                break
            factor, shift = factor_and_shift
            _scale_weight(graph, conv, scales, factor)
            _set_bias(graph, conv, factor, shift)
            removed.add(after.output[0])
            conv.output[0] = after.output[0]
    graph.replace_nodes([node for node in graph.nodes if node.op_type == "Conv" or node.output[0] not in removed])
    return scales


def _affine(graph: Graph, conv: onnx.NodeProto, after: onnx.NodeProto) -> Optional[tuple[np.ndarray, np.ndarray]]:
    """What a node does to its input ``x``, as (factor, shift) ``[out_c]`` of ``factor * x + shift``, or None."""
    if not graph.has_value(conv.input[1]):
        return None
    channels = len(graph.value(conv.input[1]))
    if after.op_type == "BatchNormalization" and all(graph.has_value(name) for name in after.input[1:5]):
        gamma, beta, mean, variance = (graph.value(one).astype(np.float64) for one in after.input[1:5])
        epsilon = next((one.f for one in after.attribute if one.name == "epsilon"), 1e-5)
        factor = gamma / np.sqrt(variance + epsilon)
        return factor, beta - mean * factor
    if after.op_type == "Add":
        bias = next((graph.value(name) for name in after.input if graph.has_value(name)), None)
        if bias is not None and bias.size == channels and bias.shape[-2:] == (1, 1):
            return np.ones(channels), bias.reshape(-1).astype(np.float64)
    return None


def _scale_weight(graph: Graph, conv: onnx.NodeProto, scales: dict[str, LayerScales], factor: np.ndarray) -> None:
    name = conv.input[1]
    weight = graph.value(name)
    graph.add_value(name, (weight * factor.reshape(-1, 1, 1, 1)).astype(np.float32))
    if name in scales:
        steps = scales[name].weight_steps * np.abs(factor)
        scales[name] = replace(scales[name], weight_steps=steps, axis=0)


def _set_bias(graph: Graph, conv: onnx.NodeProto, factor: np.ndarray, shift: np.ndarray) -> None:
    before = graph.value(conv.input[2]) if len(conv.input) > 2 else np.zeros(len(factor))
    name = graph.add_value(f"{conv.input[1]}.bias", (before * factor + shift).astype(np.float32))
    del conv.input[2:]
    conv.input.append(name)
