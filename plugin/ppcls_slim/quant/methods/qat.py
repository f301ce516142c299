"""``Slim.quant`` mapped to PaddleSlim's dygraph QAT (2.6.0), which is Paddle's ``ImperativeQuantAware``.

A quantized layer computes ``conv(fake_quant(preprocess(x)), fake_quant(preprocess(weight)))``. What is put
into a model is decided once, by :func:`decide`; :func:`apply` builds it, in training and from a checkpoint alike.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any, Optional

from ...common.errors import SlimError
from ...common.name_patterns import expand
from ...compat.paddle import paddle
from ...compat.qat_layers import load_qat, quantize_inputs
from ...config.quant import QuantConfig
from ..calibrate import MinMaxObserver
from ..record import QuantRecord
from .pact import Pact, PactQuantizer, RectifiedPact

PLAIN, TWO_SIDED, RECTIFIED, ONE_SIDED = "plain", "two_sided", "rectified", "one_sided"
HOOKS = ("weight_preprocess", "act_preprocess", "weight_quantize", "act_quantize")


def candidates(model: paddle.nn.Layer, settings: QuantConfig) -> dict[str, paddle.nn.Layer]:
    """Layers of the types that are to be quantized, by name."""
    types = tuple(getattr(paddle.nn, name) for name in settings.quantizable_layer_type)
    return {name: layer for name, layer in model.named_sublayers() if isinstance(layer, types)}


def decide(
    model: paddle.nn.Layer, settings: QuantConfig, ranges: Mapping[str, MinMaxObserver], fused: Mapping[str, str]
) -> QuantRecord:
    """Say which layers are quantized, and how.

    Args:
        model: float.
        settings: the section.
        ranges: of at least one batch: layers that take no part in it stay float.
        fused: what was folded, for the record.

    Raises:
        SlimError: a skip pattern matches nothing, or nothing is left to quantize.
    """
    names = list(candidates(model, settings))
    wanted = ", ".join(settings.quantizable_layer_type)
    if not names:
        raise SlimError(f"Slim.quant: the model has no layer of the types {wanted}: nothing would be quantized")
    floats = {
        name: f"Slim.quant.skip: {pattern}"
        for name, pattern in expand(settings.skip, names, "Slim.quant.skip", f"layer of {wanted}").items()
    }
    floats.update({name: "never run" for name in names if name not in ranges and name not in floats})
    layers = {name: _form(settings, ranges.get(name)) for name in names if name not in floats}
    if not layers:
        raise SlimError(
            f"Slim.quant: every one of the {len(names)} layers of {wanted} is skipped or never run: nothing would be "
            "quantized; shorten Slim.quant.skip, or remove the section"
        )
    return QuantRecord(settings, layers, floats, dict(fused))


def _form(settings: QuantConfig, seen: Optional[MinMaxObserver]) -> str:
    if not settings.uses_pact:
        return PLAIN
    if seen is None or seen.low < 0:
        return TWO_SIDED
    return ONE_SIDED if settings.one_sided else RECTIFIED


def apply(
    model: paddle.nn.Layer,
    record: QuantRecord,
    ranges: Optional[Mapping[str, MinMaxObserver]] = None,
    for_export: bool = False,
) -> None:
    """Quantize a float model in place.

    Args:
        model: float, converted and folded.
        record: what to quantize.
        ranges: what scales and alpha start from.
        for_export: leave PACT out; its alpha is then part of the scale (see :mod:`.deploy`).

    Raises:
        SlimError: the record belongs to another model, or a class of the user's cannot be used.
    """
    found = candidates(model, record.settings)
    missing = [name for name in record.layers if name not in found]
    if missing:
        raise SlimError(f"quantized layers that the model of Arch does not have: {', '.join(missing[:3])}")
    for name, layer in found.items():
        layer.skip_quant = name not in record.layers
    hooks = {key: _user_class(record.settings, key) for key in HOOKS}
    if for_export:
        hooks["weight_preprocess"] = None  # what it makes of the weights is stored in their place
    quantize_inputs(load_qat(paddleslim_options(record.settings), **hooks), model)
    if not for_export:
        _put_pact(model, record, ranges or {})
    if ranges:
        _start_from(model, record, ranges)


def _put_pact(model: paddle.nn.Layer, record: QuantRecord, ranges: Mapping[str, MinMaxObserver]) -> None:
    """Put PACT into quantized layers, where Paddle's hooks could only put the same thing into every one."""
    settings, options = record.settings, record.settings.pact

    def make(kind: type[Pact], name: str, start: Optional[float], **more: Any) -> Pact:
        alpha = start if start is not None else 1.0 if options.alpha == "auto" else options.alpha
        return kind(name, alpha=alpha, learning_rate=options.learning_rate, weight_decay=options.weight_decay, **more)

    for name, layer in quantized_layers(model, record).items():
        form, start = record.layers[name], _start(settings, ranges.get(name))
        if form in (TWO_SIDED, RECTIFIED):
            layer._act_preprocess = make(RectifiedPact if form == RECTIFIED else Pact, name, start)
        elif form == ONE_SIDED:
            layer._fake_quant_input = make(PactQuantizer, name, start, bits=settings.activation_bits)
        if settings.weight_preprocess_type:
            largest = max(layer.weight.abs().max().item(), 1e-6)
            layer._weight_preprocess = make(
                Pact, f"{name} (weight)", largest if options.alpha == "auto" else options.alpha
            )


def _start(settings: QuantConfig, seen: Optional[MinMaxObserver]) -> Optional[float]:
    return seen.input_scale if seen is not None and settings.pact.alpha == "auto" else None


def paddleslim_options(settings: QuantConfig) -> dict[str, Any]:
    """The dictionary for ``paddleslim.dygraph.quant.QAT``: a new one every time, never a module's.

    PACT and folding are done here: PaddleSlim starts alpha at 100 with 1000 times the learning rate, and Paddle's
    ``fuse_conv_bn`` (2.6.2, 3.3.1) folds a copy of the model, which it drops.
    """
    keys = (
        "weight_quantize_type",
        "activation_quantize_type",
        "weight_bits",
        "activation_bits",
        "dtype",
        "window_size",
        "moving_rate",
        "onnx_format",
    )
    options = {key: getattr(settings, key) for key in keys}
    options["quantizable_layer_type"] = list(settings.quantizable_layer_type)
    return options


def _user_class(settings: QuantConfig, key: str) -> Optional[type]:
    path = getattr(settings, key)
    if path is None:
        return None
    module, _, name = path.rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise SlimError(f"Slim.quant.{key}: {path} cannot be imported ({error})") from None
    if not (isinstance(found, type) and issubclass(found, paddle.nn.Layer)):
        raise SlimError(f"Slim.quant.{key}: {path} is no paddle.nn.Layer class")
    try:
        found()
    except TypeError as error:
        raise SlimError(f"Slim.quant.{key}: {path} has to be made without arguments ({error})") from None
    return found


def quantized_layers(model: paddle.nn.Layer, record: QuantRecord) -> dict[str, Any]:
    """Layer -> its quantized form, in the order of the record."""
    layers = dict(model.named_sublayers())  # names may hold dots of their own: EfficientNet's "_blocks.0."
    return {name: layers[name] for name in record.layers}


def _start_from(model: paddle.nn.Layer, record: QuantRecord, ranges: Mapping[str, MinMaxObserver]) -> None:
    """Set the moving averages to what calibration saw."""
    for name, layer in quantized_layers(model, record).items():
        if name in ranges and hasattr(layer._fake_quant_input, "_accum"):
            alpha = layer._act_preprocess.alpha.item() if isinstance(layer._act_preprocess, Pact) else float("inf")
            _set_average(layer._fake_quant_input, min(ranges[name].input_scale, alpha))


def _set_average(layer: Any, value: float) -> None:
    for parameter, number in ((layer._scale, value), (layer._accum, value), (layer._state, 1.0)):
        parameter.set_value(paddle.full([1], number, parameter.dtype))


def pact_layers(model: paddle.nn.Layer) -> dict[str, Pact]:
    """Name of the served layer -> its PACT."""
    return {layer.where: layer for layer in model.sublayers() if isinstance(layer, Pact)}
