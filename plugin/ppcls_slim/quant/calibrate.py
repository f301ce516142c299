"""Calibration: the ranges of the inputs of layers, before anything is quantized."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from typing import Any

from ..compat.layers import BATCH_NORMS, running_stats
from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode
from .observer import InputStatistics


def observe(
    model: paddle.nn.Layer,
    layers: Mapping[str, paddle.nn.Layer],
    batches: Iterable[Any],
    run: Callable[[Any], Any],
    count: int,
    batch_statistics: bool = True,
    histograms: bool = False,
) -> dict[str, InputStatistics]:
    """Run up to ``count`` batches; return statistics of the inputs of the layers that ran, by name.

    All layers but batch normalization are in evaluation mode.

    Args:
        model: the float model. Nothing in it changes, running statistics included.
        layers: the layers to observe, by name.
        batches: a data loader.
        run: feeds one batch to the model.
        count: number of batches; with 0 no layer is observed.
        batch_statistics: whether batch normalization uses the statistics of the batch, as in the training that
            follows: the running statistics of a model that was hardly trained would give other ranges. Without
            training, the model that is used normalizes with its running statistics, and so has calibration to.
        histograms: whether the statistics have a histogram.
    """
    found: dict[str, InputStatistics] = {}

    def hook_of(name: str) -> Callable[..., None]:
        return lambda layer, inputs, output: found.setdefault(name, InputStatistics(histograms)).observe(inputs[0])

    norms = [layer for layer in model.sublayers() if isinstance(layer, BATCH_NORMS)]
    kept = [(tensor, tensor.numpy()) for layer in norms for tensor in running_stats(layer)]
    with ExitStack() as after:
        for name, layer in layers.items():
            after.callback(layer.register_forward_post_hook(hook_of(name)).remove)
        for tensor, value in kept:
            after.callback(tensor.set_value, value)
        after.enter_context(eval_mode(model))
        for layer in norms:
            layer.training = batch_statistics
        for number, batch in enumerate(batches if count else ()):
            run(batch)
            if number + 1 >= count:
                break
    return found
