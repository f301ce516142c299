"""``Slim.quant.name: pact``: activations are clipped at a trained alpha."""

from __future__ import annotations

from typing import Any, Optional

from ...common.errors import SlimError
from ...compat.paddle import paddle
from ...compat.qat_layers import act_preprocess, input_quantizer, set_act_preprocess, set_input_quantizer
from ...config.quant import QuantConfig
from ..observer import InputRange
from ..pact_layers import Pact, PactQuantizer, RectifiedPact, alphas
from ..quantizer import Quantizer, Target

TWO_SIDED, RECTIFIED, ONE_SIDED = "two_sided", "rectified", "one_sided"


def clip_mode(settings: QuantConfig, observer: Optional[InputRange]) -> str:
    """Return ``two_sided``, or where calibration saw no negative inputs, ``one_sided`` or ``rectified``."""
    if observer is None or observer.low < 0:
        return TWO_SIDED
    return ONE_SIDED if settings.unsigned_where_rectified else RECTIFIED


def build(target: Target, settings: QuantConfig) -> None:
    """Clip the input before its fake-quant, or replace the fake-quant; alpha starts from what calibration saw."""
    if target.clip_mode not in (TWO_SIDED, RECTIFIED, ONE_SIDED):
        raise SlimError(f"PACT has no clip mode {target.clip_mode!r}, which the checkpoint names for {target.name}")
    options = settings.pact
    alpha = 1.0 if options.alpha == "auto" else options.alpha
    if target.observer is not None and options.alpha == "auto":
        alpha = target.observer.input_scale
    rates: dict[str, Any] = {"learning_rate": options.learning_rate, "weight_decay": options.weight_decay}
    if target.clip_mode == ONE_SIDED:
        quantizer = PactQuantizer(target.name, bits=settings.activation_bits, alpha=alpha, **rates)
        set_input_quantizer(target.layer, quantizer)
    else:
        kind = RectifiedPact if target.clip_mode == RECTIFIED else Pact
        set_act_preprocess(target.layer, kind(target.name, alpha=alpha, **rates))


def input_limit(layer: paddle.nn.Layer) -> Optional[float]:
    """Return alpha."""
    for part in (act_preprocess(layer), input_quantizer(layer)):
        if isinstance(part, Pact):
            return float(part.alpha.item())
    return None


QUANTIZER = Quantizer(
    clip_mode=clip_mode, build=build, input_limit=input_limit, learned=alphas, unsigned=frozenset({ONE_SIDED})
)
