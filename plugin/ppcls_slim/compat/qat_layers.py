"""Quantize with what PaddleSlim 2.6.0's QAT drives, and read and change its layers (Paddle 2.6.2 and 3.3.1)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

import numpy as np

from .paddle import paddle

_CHECKED_ONLY = ("dtype", "window_size")
"""Options that PaddleSlim checks and does not pass on."""


def load_qat(options: dict[str, Any], **hooks: Any) -> Any:
    """Return what ``paddleslim.dygraph.quant.QAT`` drives: ``quantize(model)`` and ``save_quantized_model``.

    Made here as PaddleSlim makes it, which then need not be installed. ``QAT.quantize`` itself also deep-copies the
    float model when there is a preprocess, keeps the copy, exports it and leaves static mode on.

    Args:
        options: PaddleSlim's configuration.
        hooks: ``weight_preprocess``, ``act_preprocess``, ``weight_quantize``, ``act_quantize``: classes or None.
    """
    passed_on = {key: value for key, value in options.items() if key not in _CHECKED_ONLY}
    layers = {f"{key}_layer": value for key, value in hooks.items()}
    return paddle.quantization.ImperativeQuantAware(**passed_on, **layers)


def quantize_inputs(quantizer: Any, model: paddle.nn.Layer) -> None:
    """``quantizer.quantize(model)`` without the observers that it puts behind every quantized layer.

    Exported with ``onnx_format`` they become quantizers between convolution and batch normalization (2.6.2, 3.3.1),
    which training never had: run as written, the model then decides otherwise than the trained one, TensorRT cannot
    fold the normalization, and a training step takes a tenth longer. oneDNN folds first and never sees them.
    """
    quantizer._quantize_inputs.apply(model)


def input_quantizer(layer: Any) -> Any:
    """Return the fake-quant of a quantized layer's input."""
    return layer._fake_quant_input


def set_input_quantizer(layer: Any, quantizer: paddle.nn.Layer) -> None:
    """Replace the fake-quant of a quantized layer's input."""
    layer._fake_quant_input = quantizer


def weight_quantizer(layer: Any) -> Any:
    """Return the fake-quant of a quantized layer's weight."""
    return layer._fake_quant_weight


def set_weight_quantizer(layer: Any, quantizer: paddle.nn.Layer) -> None:
    """Replace the fake-quant of a quantized layer's weight."""
    layer._fake_quant_weight = quantizer


@contextmanager
def quantizers_off(layers: Iterable[Any]) -> Iterator[None]:
    """Let quantized layers compute in float for the length of a ``with`` block."""
    parts = ("_fake_quant_input", "_fake_quant_weight", "_act_preprocess", "_weight_preprocess")
    before = [(layer, part, getattr(layer, part, None)) for layer in layers for part in parts]
    before = [(layer, part, quantizer) for layer, part, quantizer in before if quantizer is not None]
    try:
        for layer, part, _ in before:
            setattr(layer, part, paddle.nn.Identity())
        yield
    finally:
        for layer, part, quantizer in before:
            setattr(layer, part, quantizer)


def weight_scale_axis(quantizer: Any) -> Optional[int]:
    """Return the axis of the channels that a fake-quant of a weight scales, None where it has one scale."""
    axis: Optional[int] = getattr(quantizer, "_quant_axis", None)
    return axis


class _OnItsGrid(paddle.nn.Layer):
    """The fake-quant of a weight that lies on its grid already: the scale stays, whatever the largest weight is."""

    def __init__(self, quantizer: paddle.nn.Layer):
        super().__init__()
        self.quantizer = quantizer

    def forward(self, weight: paddle.Tensor) -> paddle.Tensor:
        return weight if paddle.in_dynamic_mode() else self.quantizer(weight)


def keep_weight_scale(layer: Any, scale: np.ndarray) -> None:
    """Set the scale of a weight that lies on its grid; a forward pass no longer changes it, and export writes it.

    Args:
        layer: quantized, with PaddleSlim's fake-quants.
        scale: what the largest integer stands for, ``[channels]`` or ``[1]``.
    """
    quantizer = layer._fake_quant_weight
    quantizer._scale.set_value(paddle.to_tensor(scale, dtype=quantizer._scale.dtype))
    layer._fake_quant_weight = _OnItsGrid(quantizer)


def act_preprocess(layer: Any) -> Optional[paddle.nn.Layer]:
    """Return what a quantized layer applies to its input before fake-quant, or None."""
    found: Optional[paddle.nn.Layer] = layer._act_preprocess
    return found


def set_act_preprocess(layer: Any, preprocess: paddle.nn.Layer) -> None:
    """Apply ``preprocess`` to a quantized layer's input before fake-quant."""
    layer._act_preprocess = preprocess


def weight_preprocess(layer: Any) -> Optional[paddle.nn.Layer]:
    """Return what a quantized layer applies to its weight before fake-quant, or None."""
    found: Optional[paddle.nn.Layer] = layer._weight_preprocess
    return found


def set_weight_preprocess(layer: Any, preprocess: paddle.nn.Layer) -> None:
    """Apply ``preprocess`` to a quantized layer's weight before fake-quant."""
    layer._weight_preprocess = preprocess


def stored_scale(quantizer: Any) -> Optional[paddle.Tensor]:
    """Return the scale parameter ``[1]`` or ``[channels]`` of a fake-quant, None where it keeps none."""
    scale: Optional[paddle.Tensor] = getattr(quantizer, "_scale", None)
    return scale


def has_moving_average(quantizer: Any) -> bool:
    """Whether a fake-quant's scale is a moving average over the batches."""
    return hasattr(quantizer, "_accum")


def moving_average_tensors(quantizer: Any) -> list[paddle.Tensor]:
    """Return the tensors ``[1]`` of a moving average: scale, and sums over the batches of values and of weights."""
    return [quantizer._scale, quantizer._accum, quantizer._state]


def set_moving_average(quantizer: Any, value: float) -> None:
    """Set a moving average to ``value``, as if one batch had been seen."""
    for tensor, number in zip(moving_average_tensors(quantizer), (value, value, 1.0)):
        tensor.set_value(paddle.full([1], number, tensor.dtype))


def is_moving_average(name: str) -> bool:
    """Whether a name of ``state_dict()`` is a tensor of the moving average of a quantized input."""
    return name.endswith(("._scale", "._state", "._accum")) and "_weight" not in name


def is_quantized_state(names: Iterable[str]) -> bool:
    """Whether names of a ``state_dict()`` are those of a quantized model."""
    return any("_fake_quant_" in name for name in names)
