"""Fold batch normalization into the convolution before it; int8 grids of its weight are folded along."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ...compat.quantized_program import LayerScales
from .graph import Graph


def fold_batch_norms(graph: Graph, layers: Mapping[str, LayerScales]) -> dict[str, LayerScales]:
    """Fold every batch normalization that alone reads a convolution's output, in place.

    A weight on the grid ``steps * integers`` keeps its integers, but for their signs: the steps of its channels are
    multiplied by ``|gamma / sqrt(variance + epsilon)|``.

    Args:
        graph: float.
        layers: name of a weight -> its grids.

    Returns:
        ``layers`` with the folded steps.
    """
    scales, consumers, outputs = dict(layers), graph.consumers(), graph.outputs()
    removed = []
    for conv in graph.nodes:
        after = consumers[conv.output[0]] if conv.op_type == "Conv" else []
        folds = len(after) == 1 and after[0].op_type == "BatchNormalization" and conv.output[0] not in outputs
        if not folds or len(consumers[conv.input[1]]) > 1 or not graph.has_value(conv.input[1]):
            continue
        norm, name = after[0], conv.input[1]
        gamma, beta, mean, variance = (graph.value(one).astype(np.float64) for one in norm.input[1:5])
        epsilon = next((one.f for one in norm.attribute if one.name == "epsilon"), 1e-5)
        factor = gamma / np.sqrt(variance + epsilon)
        weight = graph.value(name)
        bias = graph.value(conv.input[2]) if len(conv.input) > 2 else np.zeros(len(weight))
        graph.add_value(name, (weight * factor.reshape(-1, 1, 1, 1)).astype(np.float32))
        folded = graph.add_value(f"{name}.bias", (beta + (bias - mean) * factor).astype(np.float32))
        if name in scales:
            scales[name] = replace(scales[name], weight_steps=scales[name].weight_steps * np.abs(factor), axis=0)
        del conv.input[2:]
        conv.input.append(folded)
        conv.output[0] = norm.output[0]
        removed.append(norm)
    graph.replace_nodes([node for node in graph.nodes if not any(node is one for one in removed)])
    return scales
