"""Bias correction: give every quantized layer the mean output, channel by channel, that it had before.

Nagel et al., "Data-Free Quantization Through Weight Equalization and Bias Correction", arXiv:1906.04721, section 4.2
(equations 15 and 16) and appendix D: the mean error ``E[y~] - E[y]`` is measured on data and subtracted from the
bias, layer by layer in the order of execution, so that what is measured at a layer is what the corrected layers
before it leave.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from typing import Any, Optional

import numpy as np

from ..compat.layers import running_stats
from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode
from .fold_bn import find_pairs

Layers = Mapping[str, paddle.nn.Layer]
Means = Mapping[str, Sequence[np.ndarray]]
"""Layer -> for each batch, the mean output of each of its channels, ``[c]``."""


def prepare_correction(
    model: paddle.nn.Layer, layers: Layers, batches: Sequence[Any], run: Callable[[Any], Any]
) -> Callable[[Layers], list[str]]:
    """Measure a float model; return what corrects it once it is quantized, see :func:`correct_biases`.

    Args:
        model: float; it is then quantized in place.
        layers: convolutions and linear layers, by name.
        batches: of calibration, at least one.
        run: feeds one batch to the model.
    """
    expected = mean_outputs(model, layers, batches, run)
    modules = dict(model.named_sublayers())
    norms = {conv: modules[norm] for conv, norm in find_pairs(model, lambda: run(batches[0])).items()}
    return lambda quantized: correct_biases(model, quantized, norms, expected, batches, run)


def mean_outputs(model: paddle.nn.Layer, layers: Layers, batches: Iterable[Any], run: Callable[[Any], Any]) -> Means:
    """Return the mean outputs of layers that run once in every batch, in evaluation mode.

    Args:
        model: float, or quantized.
        layers: convolutions and linear layers, by name.
        batches: the batches themselves, which the correction sees again.
        run: feeds one batch to the model.
    """
    found: dict[str, list[np.ndarray]] = {}

    def hook_of(name: str) -> Callable[..., None]:
        return lambda layer, inputs, output: found.setdefault(name, []).append(_means(output))

    seen = 0
    with ExitStack() as hooks, eval_mode(model):
        for name, layer in layers.items():
            hooks.callback(layer.register_forward_post_hook(hook_of(name)).remove)
        for batch in batches:
            run(batch)
            seen += 1
    return {name: means for name, means in found.items() if len(means) == seen}


def correct_biases(
    model: paddle.nn.Layer,
    layers: Layers,
    norms: Layers,
    expected: Means,
    batches: Iterable[Any],
    run: Callable[[Any], Any],
) -> list[str]:
    """Correct the bias of a layer, or the running mean of the batch normalization that alone reads its output.

    Each batch corrects every layer as it is reached; the correction of a layer is the mean over the batches so far.

    Args:
        model: quantized.
        layers: its quantized layers, by name.
        norms: name of a layer -> the batch normalization behind it.
        expected: what :func:`mean_outputs` returned for the float model.
        batches: the same ones.
        run: feeds one batch to the model.

    Returns:
        Names of the layers that were corrected; those without a bias and a normalization are not.
    """
    corrected = {name: layer for name, layer in layers.items() if name in expected and _place(layer, norms.get(name))}
    number = 0

    def hook_of(name: str) -> Callable[..., Optional[paddle.Tensor]]:
        shift = np.zeros_like(expected[name][0])  # what the running mean was moved by

        def hook(layer: paddle.nn.Layer, inputs: Any, output: paddle.Tensor) -> Optional[paddle.Tensor]:
            nonlocal shift
            error = (_means(output) - shift - expected[name][number]) / (number + 1)
            place = running_stats(norms[name])[0] if name in norms else layer.bias
            sign = 1 if name in norms else -1
            place.set_value((place.numpy() + sign * error).astype(place.numpy().dtype))
            if name in norms:
                shift = shift + error
                return None
            return output - paddle.to_tensor(error.reshape(_shape(output)), dtype=output.dtype)

        return hook

    with ExitStack() as hooks, eval_mode(model):
        for name, layer in corrected.items():
            hooks.callback(layer.register_forward_post_hook(hook_of(name)).remove)
        for number, batch in enumerate(batches):  # noqa: B007  (the hooks read it)
            run(batch)
    return list(corrected)


def _place(layer: paddle.nn.Layer, norm: Optional[paddle.nn.Layer]) -> bool:
    return norm is not None or getattr(layer, "bias", None) is not None


def _means(output: paddle.Tensor) -> np.ndarray:
    """Mean over everything but the channels: axis 1 of feature maps ``[n, c, h, w]``, else the last."""
    channels = 1 if output.ndim == 4 else output.ndim - 1
    others = [axis for axis in range(output.ndim) if axis != channels]
    means: np.ndarray = output.astype("float64").mean(axis=others).numpy()
    return means


def _shape(output: paddle.Tensor) -> list[int]:
    return [1, -1, 1, 1] if output.ndim == 4 else [1] * (output.ndim - 1) + [-1]
