"""Which layers of a model are quantized, and how their inputs are clipped."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from ..common.errors import SlimError
from ..common.name_patterns import expand
from ..compat.paddle import paddle
from ..config.quant import QuantConfig
from .observer import InputRange
from .quantizer import quantizer_of
from .record import QuantRecord


def quantizable_layers(model: paddle.nn.Layer, settings: QuantConfig) -> dict[str, paddle.nn.Layer]:
    """Return the layers of the types in ``Slim.quant.quantizable_layer_type``, by name."""
    types = tuple(getattr(paddle.nn, name) for name in settings.quantizable_layer_type)
    return {name: layer for name, layer in model.named_sublayers() if isinstance(layer, types)}


def quantized_layers(model: paddle.nn.Layer, record: QuantRecord) -> dict[str, paddle.nn.Layer]:
    """Return the quantized layers of a quantized model by name, in the order of the record."""
    layers = dict(model.named_sublayers())  # names may contain dots of their own: EfficientNet's "_blocks.0."
    return {name: layers[name] for name in record.layers}


def choose_layers(
    model: paddle.nn.Layer,
    settings: QuantConfig,
    observers: Mapping[str, InputRange],
    folded: Mapping[str, str],
    left_float: Mapping[str, str] = MappingProxyType({}),
) -> QuantRecord:
    """Decide which layers are quantized, and how.

    Args:
        model: float.
        settings: ``Slim.quant``.
        observers: of at least one batch; layers without an observer did not run, and are skipped.
        folded: convolution -> the batch normalization that was folded into it, for the record.
        left_float: further layers that are not quantized -> reason.

    Raises:
        SlimError: a skip pattern matches nothing, or no layer is left to quantize.
    """
    names = list(quantizable_layers(model, settings))
    types = ", ".join(settings.quantizable_layer_type)
    if not names:
        raise SlimError(f"Slim.quant: the model has no layer of the types {types}: nothing would be quantized")
    patterns = expand(settings.skip_patterns, names, "Slim.quant.skip", f"layer of {types}")
    skipped = {name: f"Slim.quant.skip: {pattern}" for name, pattern in patterns.items()}
    skipped.update({name: reason for name, reason in left_float.items() if name not in skipped})
    skipped.update({name: "never run" for name in names if name not in observers and name not in skipped})
    clip_mode = quantizer_of(settings).clip_mode
    layers = {name: clip_mode(settings, observers.get(name)) for name in names if name not in skipped}
    if not layers:
        raise SlimError(
            f"Slim.quant: every one of the {len(names)} layers of {types} is skipped or never run: nothing would be "
            "quantized; shorten Slim.quant.skip, or remove the section"
        )
    return QuantRecord(settings, layers, skipped, dict(folded))
