"""FLOPs and parameters of a model.

One FLOP here and in the whole project is one multiply-accumulate of a convolution or linear layer, without bias: what
the FPGM paper reports and what PaddleSlim's ``dygraph_flops(only_conv=True)`` counts.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode

_COUNTED = (paddle.nn.Conv2D, paddle.nn.Conv2DTranspose, paddle.nn.Linear)


@dataclass(frozen=True)
class Cost:
    """What one forward pass over one image costs.

    Attributes:
        positions: weight -> how often each of its elements is multiplied (``h_out * w_out`` of a convolution); 0 for
            layers that the forward pass does not reach.
        shapes: weight -> shape.
        parameters: number of elements of all parameters of the model.
    """

    positions: dict[str, int]
    shapes: dict[str, tuple[int, ...]]
    parameters: int

    def flops(self, shapes: Optional[Mapping[str, Sequence[int]]] = None) -> int:
        """Return the FLOPs of the model.

        Args:
            shapes: weight -> shape, for weights that are taken as smaller than they are.
        """
        given = shapes or {}
        return sum(n * int(np.prod(given.get(name, self.shapes[name]))) for name, n in self.positions.items())

    def flops_of(self, weights: Collection[str], shapes: Optional[Mapping[str, Sequence[int]]] = None) -> int:
        """Return the FLOPs of some weights; other names are ignored. ``shapes`` as in :meth:`flops`."""
        given = shapes or {}
        sizes = {name: int(np.prod(given.get(name, self.shapes[name]))) for name in self.positions if name in weights}
        return sum(self.positions[name] * size for name, size in sizes.items())


def measure(model: paddle.nn.Layer, input_shape: Sequence[int], dtype: str = "float32") -> Cost:
    """Count by running the model once on zeros in evaluation mode.

    Args:
        model: any layer whose ``forward`` takes one image.
        input_shape: ``[C, H, W]``.
        dtype: data type of the image.
    """
    positions: dict[str, int] = {}
    shapes: dict[str, tuple[int, ...]] = {}
    handles = []
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
    """Run the model on one image of zeros in evaluation mode.

    Args:
        model: any layer whose ``forward`` takes one image.
        input_shape: ``[C, H, W]``.
        dtype: data type of the image.
    """
    with eval_mode(model):
        model(paddle.zeros([1, *input_shape], dtype=dtype))


def _counter(positions: dict[str, int], weight: str) -> Callable[..., None]:
    """Return a forward hook that adds up how often a weight is used."""

    def count(layer: paddle.nn.Layer, inputs: tuple[Any, ...], output: paddle.Tensor) -> None:
        shape = inputs[0].shape if isinstance(layer, paddle.nn.Conv2DTranspose) else output.shape
        spatial = shape[1:-1] if isinstance(layer, paddle.nn.Linear) else shape[2:]
        positions[weight] += int(np.prod(spatial))

    return count
