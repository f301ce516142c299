"""Calibration: what the float model's layers see, before anything is quantized."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode
from .fold_bn import NORMS


@dataclass
class MinMaxObserver:
    """Of one layer, over the calibration batches.

    Attributes:
        low: smallest value of its input.
        inputs: largest magnitude of the input, batch by batch.
    """

    low: float = 0.0
    inputs: list[float] = field(default_factory=list)

    @property
    def input_scale(self) -> float:
        """Mean over the batches, which is what a moving average of them goes to."""
        return max(sum(self.inputs) / len(self.inputs), 1e-6)


def observe(
    model: paddle.nn.Layer,
    layers: Mapping[str, paddle.nn.Layer],
    batches: Iterable[Any],
    run: Callable[[Any], Any],
    count: int,
) -> dict[str, MinMaxObserver]:
    """Run up to ``count`` batches; return the ranges of the layers that took part.

    Batch normalization takes the statistics of the batch, as in the training that follows: those of a model
    that was hardly trained say nothing yet. Everything else is in evaluation mode.

    Args:
        model: the float model; left as it came, running statistics included.
        layers: the layers to watch, by name.
        batches: a data loader.
        run: feeds one batch to the model.
        count: 0 observes nothing.
    """
    ranges: dict[str, MinMaxObserver] = {}
    hooks = [layer.register_forward_post_hook(_note(ranges, name)) for name, layer in layers.items()]
    norms = [layer for layer in model.sublayers() if isinstance(layer, NORMS)]
    kept = [(tensor, tensor.numpy()) for layer in norms for tensor in (layer._mean, layer._variance)]
    try:
        with eval_mode(model):
            for layer in norms:
                layer.training = True
            for number, batch in enumerate(batches if count else ()):
                run(batch)
                if number + 1 >= count:
                    break
    finally:
        for tensor, value in kept:
            tensor.set_value(value)
        for hook in hooks:
            hook.remove()
    return ranges


def _note(ranges: dict[str, MinMaxObserver], name: str) -> Callable[..., None]:
    def hook(layer: Any, inputs: Any, output: Any) -> None:
        seen = ranges.setdefault(name, MinMaxObserver())
        low, high = inputs[0].min().item(), inputs[0].max().item()
        seen.low = min(seen.low, low)
        seen.inputs.append(max(-low, high))

    return hook
