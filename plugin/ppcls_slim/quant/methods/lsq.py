"""``Slim.quant.name: lsq``: the sizes of the steps of weights and activations are trained."""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...compat.qat_layers import (
    input_quantizer,
    set_input_quantizer,
    set_weight_quantizer,
    weight_quantizer,
    weight_scale_axis,
)
from ...config.quant import QuantConfig
from ..lsq_layers import LsqQuantizer, LsqWeightQuantizer, initial_steps, levels
from ..observer import InputRange
from ..quantizer import ExportedWeight, Quantizer, Target

SIGNED, UNSIGNED = "signed", "unsigned"


def clip_mode(settings: QuantConfig, observer: Optional[InputRange]) -> str:
    """Return ``unsigned`` where calibration saw no negative inputs, unless all are to be ``signed``."""
    rectified = observer is not None and observer.low >= 0
    return UNSIGNED if rectified and settings.unsigned_where_rectified else SIGNED


def build(target: Target, settings: QuantConfig) -> None:
    """Replace the fake-quants of a layer; their steps start from its weight and from what calibration saw."""
    if target.clip_mode not in (SIGNED, UNSIGNED):
        raise SlimError(f"LSQ has no clip mode {target.clip_mode!r}, which the checkpoint names for {target.name}")
    options, unsigned = settings.lsq, target.clip_mode == UNSIGNED
    rates: dict[str, Any] = {"learning_rate": options.learning_rate, "weight_decay": options.weight_decay}
    step = _input_step(target.observer, settings, levels(settings.activation_bits, unsigned)[1])
    bits = settings.activation_bits
    set_input_quantizer(target.layer, LsqQuantizer(target.name, bits, unsigned, np.array([step]), **rates))
    axis, bits = weight_scale_axis(weight_quantizer(target.layer)), settings.weight_bits
    steps = initial_steps(target.layer.weight.numpy(), axis, bits, options.starts_from_range(bits))
    set_weight_quantizer(target.layer, LsqWeightQuantizer(target.name, bits, steps, axis, **rates))


def _input_step(observer: Optional[InputRange], settings: QuantConfig, positive: int) -> float:
    if observer is None:  # the checkpoint has the step
        return 1.0
    if settings.lsq.starts_from_range(settings.activation_bits):
        return observer.input_scale / positive
    return 2 * observer.mean_magnitude / math.sqrt(positive)


def input_limit(layer: paddle.nn.Layer) -> Optional[float]:
    """Return the largest input that is represented."""
    quantizer = input_quantizer(layer)
    return float(quantizer.largest.item()) if isinstance(quantizer, LsqQuantizer) else None


def largest_inputs(model: paddle.nn.Layer) -> dict[str, float]:
    """Return the largest input that is represented, by name of the layer, of all of them.

    Raises:
        SlimError: a step is not a positive finite number.
    """
    quantizers = [one for one in model.sublayers() if isinstance(one, LsqQuantizer)]
    for one in quantizers:
        one.checked_steps()
    return {one.where: float(one.largest.item()) for one in quantizers if not isinstance(one, LsqWeightQuantizer)}


def export_weight(layer: paddle.nn.Layer, weight: paddle.Tensor) -> Optional[ExportedWeight]:
    """Return the weight on its grid."""
    quantizer = weight_quantizer(layer)
    if not isinstance(quantizer, LsqWeightQuantizer):
        return None
    with paddle.no_grad():
        return ExportedWeight(quantizer.quantize(weight), quantizer.largest)


QUANTIZER = Quantizer(
    clip_mode=clip_mode,
    build=build,
    input_limit=input_limit,
    learned=largest_inputs,
    export_weight=export_weight,
    unsigned=frozenset({UNSIGNED}),
)
