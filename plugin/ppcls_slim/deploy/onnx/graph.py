"""Small operations on an ONNX graph that is edited in place."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import numpy as np
import onnx
from onnx import numpy_helper

LAYERS = ("Conv", "ConvTranspose", "MatMul", "Gemm")
"""Convolutions and matrix products."""


class Graph:
    """An ONNX graph with indices of its tensors, which stay right while it is edited through the methods.

    Args:
        model: changed in place.
    """

    def __init__(self, model: onnx.ModelProto):
        self.model = model
        self.nodes = model.graph.node
        self._initializers = {one.name: one for one in model.graph.initializer}

    def producers(self) -> dict[str, onnx.NodeProto]:
        """Name of a tensor -> the node that computes it."""
        return {name: node for node in self.nodes for name in node.output}

    def consumers(self) -> dict[str, list[onnx.NodeProto]]:
        """Name of a tensor -> the nodes that read it."""
        found: dict[str, list[onnx.NodeProto]] = defaultdict(list)
        for node in self.nodes:
            for name in dict.fromkeys(node.input):
                found[name].append(node)
        return found

    def outputs(self) -> set[str]:
        """Names of the outputs of the graph."""
        return {one.name for one in self.model.graph.output}

    def has_value(self, name: str) -> bool:
        """Whether a tensor is an initializer."""
        return name in self._initializers

    def value(self, name: str) -> np.ndarray:
        """Value of an initializer."""
        return numpy_helper.to_array(self._initializers[name])

    def add_value(self, name: str, value: np.ndarray) -> str:
        """Add an initializer, or replace the one of that name; return the name."""
        if name in self._initializers:
            self._initializers[name].CopyFrom(numpy_helper.from_array(value, name))
        else:
            self.model.graph.initializer.append(numpy_helper.from_array(value, name))
            self._initializers[name] = self.model.graph.initializer[-1]
        return name

    def replace_nodes(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Put other nodes in place of all; initializers that nothing reads are dropped."""
        kept = list(nodes)
        del self.nodes[:]
        self.nodes.extend(kept)
        read = {name for node in kept for name in node.input}
        left = [one for one in self.model.graph.initializer if one.name in read]
        del self.model.graph.initializer[:]
        self.model.graph.initializer.extend(left)
        self._initializers = {one.name: one for one in self.model.graph.initializer}


def rename_input(node: onnx.NodeProto, old: str, new: str) -> None:
    """Let a node read another tensor."""
    for place, name in enumerate(node.input):
        if name == old:
            node.input[place] = new
