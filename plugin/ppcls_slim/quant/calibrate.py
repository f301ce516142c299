"""Calibration: the ranges of the inputs of layers, before anything is quantized."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from ..compat.layers import BATCH_NORMS, running_stats
from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode

SMALLEST_SCALE = 1e-6
"""Scale of a layer whose inputs were all zero."""


@dataclass
class MinMaxObserver:
    """Observer of the input of one layer over the calibration batches.

    Attributes:
        low: smallest value, at most 0.
        magnitudes: largest magnitude in each batch.
    """

    low: float = 0.0
    magnitudes: list[float] = field(default_factory=list)

    def observe(self, x: paddle.Tensor) -> None:
        """Take one batch into account."""
        low, high = x.min().item(), x.max().item()
        self.low = min(self.low, low)
        self.magnitudes.append(max(-low, high))

    @property
    def input_scale(self) -> float:
        """Mean of the magnitudes, which a moving average of them converges to.

        In Paddle, a scale is the largest magnitude that is represented, and not the step of the integers.
        """
        return max(sum(self.magnitudes) / len(self.magnitudes), SMALLEST_SCALE)


def observe(
    model: paddle.nn.Layer,
    layers: Mapping[str, paddle.nn.Layer],
    batches: Iterable[Any],
    run: Callable[[Any], Any],
    count: int,
) -> dict[str, MinMaxObserver]:
    """Run up to ``count`` batches; return the observers of the layers that ran, by name.

    Batch normalization uses the statistics of the batch, as in the training that follows: the running statistics of a
    model that was hardly trained would give other ranges. All other layers are in evaluation mode.

    Args:
        model: the float model. Nothing in it changes, running statistics included.
        layers: the layers to observe, by name.
        batches: a data loader.
        run: feeds one batch to the model.
        count: number of batches; with 0 no layer is observed.
    """
    observers: dict[str, MinMaxObserver] = {}

    def hook_of(name: str) -> Callable[..., None]:
        return lambda layer, inputs, output: observers.setdefault(name, MinMaxObserver()).observe(inputs[0])

    norms = [layer for layer in model.sublayers() if isinstance(layer, BATCH_NORMS)]
    kept = [(tensor, tensor.numpy()) for layer in norms for tensor in running_stats(layer)]
    with ExitStack() as after:
        for name, layer in layers.items():
            after.callback(layer.register_forward_post_hook(hook_of(name)).remove)
        for tensor, value in kept:
            after.callback(tensor.set_value, value)
        after.enter_context(eval_mode(model))
        for layer in norms:
            layer.training = True
        for number, batch in enumerate(batches if count else ()):
            run(batch)
            if number + 1 >= count:
                break
    return observers
