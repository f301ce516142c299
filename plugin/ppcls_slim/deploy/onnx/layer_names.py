"""Name the nodes of an ONNX graph as the model names its layers, so that engines speak of them by these names."""

from __future__ import annotations

from ...compat.paddle import paddle
from .graph import LAYERS, Graph

WRAPPER = "base_model."
"""What PaddleClas's ``ExportModel`` puts in front."""


def name_layers(graph: Graph, model: paddle.nn.Layer) -> None:
    """Name convolutions and matrix products after the layers that their weights are of, in place.

    Args:
        graph: weights have the names of Paddle's parameters.
        model: whose layers these are.
    """
    owners = {
        parameter.name: name.removeprefix(WRAPPER).rpartition(".")[0] for name, parameter in model.named_parameters()
    }
    taken: set[str] = set()
    for node in graph.nodes:
        owner = owners.get(node.input[1]) if node.op_type in LAYERS else None
        if owner and owner not in taken:
            node.name = owner
            taken.add(owner)
