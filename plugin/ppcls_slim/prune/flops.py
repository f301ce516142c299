"""FLOPs and parameters.

One FLOP here is one multiply-accumulate of a convolution or linear layer, without bias: what the FPGM
paper reports and what ``paddleslim.dygraph_flops(only_conv=True)`` counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

import numpy as np

from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode

_COUNTED = (paddle.nn.Conv2D, paddle.nn.Conv2DTranspose, paddle.nn.Linear)


@dataclass(frozen=True)
class Cost:
    """What one forward pass over one input costs.

    Attributes:
        positions: weight name -> how often each of its elements is multiplied (``h_out * w_out`` of a
            convolution); zero for layers that the pass does not reach.
        shapes: weight name -> shape.
        parameters: elements of all trainable parameters and buffers of the model.
    """

    positions: dict[str, int]
    shapes: dict[str, tuple[int, ...]]
    parameters: int

    def flops(self, shapes: Optional[Mapping[str, Sequence[int]]] = None) -> int:
        """FLOPs with the weights' own shapes, or with those given for some of them."""
        given = shapes or {}
        return sum(n * int(np.prod(given.get(name, self.shapes[name]))) for name, n in self.positions.items())


def measure(model: paddle.nn.Layer, input_shape: Sequence[int], dtype: str = "float32") -> Cost:
    """Count by running the model once on zeros, in evaluation mode.

    Args:
        model: any layer whose ``forward`` takes one image tensor.
        input_shape: ``[C, H, W]``.
        dtype: data type of the input.
    """
    positions: dict[str, int] = {}
    handles, shapes = [], {}
    for name, layer in model.named_sublayers(include_self=True):
        if not isinstance(layer, _COUNTED):
            continue
        weight = f"{name}.weight" if name else "weight"
        shapes[weight] = tuple(layer.weight.shape)
        positions.setdefault(weight, 0)
        handles.append(layer.register_forward_post_hook(_counter(positions, weight)))
    try:
        run_once(model, input_shape, dtype)
    finally:
        for handle in handles:
            handle.remove()
    parameters = sum(int(np.prod(p.shape)) for p in model.parameters())
    return Cost(positions, shapes, parameters)


def run_once(model: paddle.nn.Layer, input_shape: Sequence[int], dtype: str = "float32") -> None:
    """Run the model on one input of zeros in evaluation mode and leave its mode as it was."""
    with eval_mode(model):
        model(paddle.zeros([1, *input_shape], dtype=dtype))


def _counter(positions: dict[str, int], weight: str):
    def count(layer, inputs, output):
        shape = inputs[0].shape if isinstance(layer, paddle.nn.Conv2DTranspose) else output.shape
        spatial = shape[1:-1] if isinstance(layer, paddle.nn.Linear) else shape[2:]
        positions[weight] += int(np.prod(spatial))

    return count
