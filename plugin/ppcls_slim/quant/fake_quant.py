"""Put fake-quants into a model with PaddleSlim's dygraph QAT (2.6.0), which is Paddle's ``ImperativeQuantAware``.

A quantized layer computes ``conv(fake_quant(preprocess(x)), fake_quant(preprocess(weight)))``.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Optional

from ..common.errors import SlimError
from ..compat.layers import replace_everywhere
from ..compat.paddle import paddle
from ..compat.qat_layers import (
    has_moving_average,
    input_quantizer,
    load_qat,
    quantize_inputs,
    set_moving_average,
    set_weight_preprocess,
)
from ..config.quant import QuantConfig
from .layers import quantizable_layers, quantized_layers
from .observer import InputRange
from .pact_layers import Pact
from .quantizer import Target, quantizer_of
from .record import USER_CLASSES, QuantRecord

PASSED_ON = (
    "weight_quantize_type",
    "activation_quantize_type",
    "weight_bits",
    "activation_bits",
    "dtype",
    "window_size",
    "moving_rate",
    "onnx_format",
)
"""Options of ``Slim.quant`` that PaddleSlim's QAT takes as they are."""


def insert_fake_quants(
    model: paddle.nn.Layer,
    record: QuantRecord,
    observers: Optional[Mapping[str, InputRange]] = None,
    for_export: bool = False,
) -> None:
    """Quantize a float model in place.

    Args:
        model: float, its branches merged and its batch normalization folded as the record says.
        record: which layers are quantized, and how.
        observers: what scales and alpha start from; None if the weights are loaded afterwards.
        for_export: leave out what the exported operators cannot express (PACT, preprocessing of weights): see
            :func:`.convert.convert_weights`.

    Raises:
        SlimError: the record belongs to another model, or a class of the user's cannot be used.
    """
    settings = record.settings
    found = quantizable_layers(model, settings)
    missing = [name for name in record.layers if name not in found]
    if missing:
        raise SlimError(f"quantized layers that the model of Arch does not have: {', '.join(missing[:3])}")
    for name, layer in found.items():
        layer.skip_quant = name not in record.layers
    classes = {key: _user_class(settings, key) for key in USER_CLASSES}
    if for_export:
        classes["weight_preprocess"] = None  # the preprocessed weights are stored instead
    quantize_inputs(load_qat(paddleslim_options(settings), **classes), model)
    observers = observers or {}
    layers = quantized_layers(model, record)
    # QAT puts them in the first place of a layer that the model uses under several names.
    replace_everywhere(model, {id(found[name]): layer for name, layer in layers.items()})
    if not for_export:
        for name, layer in layers.items():
            quantizer_of(settings).build(Target(name, layer, record.layers[name], observers.get(name)), settings)
            if settings.weight_preprocess_type:
                _clip_weight(name, layer, settings)
    for name, layer in layers.items():
        if name in observers and has_moving_average(input_quantizer(layer)):
            limit = quantizer_of(settings).input_limit(layer)
            seen = observers[name].input_scale
            set_moving_average(input_quantizer(layer), seen if limit is None else min(seen, limit))
    _keep_mode(found, layers)


def paddleslim_options(settings: QuantConfig) -> dict[str, Any]:
    """Return the configuration of ``paddleslim.dygraph.quant.QAT``, a new dictionary in every call.

    PACT and folding are not among them, because they are done here: PaddleSlim starts alpha at 100 with 1000 times
    the learning rate, and Paddle's ``fuse_conv_bn`` (2.6.2, 3.3.1) folds a copy of the model and drops it.
    """
    options = {key: getattr(settings, key) for key in PASSED_ON}
    options["quantizable_layer_type"] = list(settings.quantizable_layer_type)
    return options


def _keep_mode(before: Mapping[str, paddle.nn.Layer], after: Mapping[str, paddle.nn.Layer]) -> None:
    """Quantized layers are in evaluation mode where the float ones were: in training they follow their inputs."""
    for name, layer in after.items():
        if not before[name].training:
            layer.eval()


def _clip_weight(name: str, layer: paddle.nn.Layer, settings: QuantConfig) -> None:
    """Put PACT in front of the fake-quant of a weight (``weight_preprocess_type: PACT``)."""
    options = settings.pact
    largest = max(layer.weight.abs().max().item(), 1e-6)
    alpha = largest if options.alpha == "auto" else options.alpha
    clip = Pact(f"{name} (weight)", alpha, options.learning_rate, options.weight_decay)
    set_weight_preprocess(layer, clip)


def _user_class(settings: QuantConfig, key: str) -> Optional[type]:
    """Import a class of the user's, and see whether PaddleSlim can use it."""
    path = getattr(settings, key)
    if path is None:
        return None
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SlimError(f"Slim.quant.{key}: {path} cannot be imported ({error})") from None
    if not (isinstance(found, type) and issubclass(found, paddle.nn.Layer)):
        raise SlimError(f"Slim.quant.{key}: {path} is not a paddle.nn.Layer class")
    try:
        found()
    except TypeError as error:
        raise SlimError(f"Slim.quant.{key}: {path} has to be made without arguments ({error})") from None
    return found
