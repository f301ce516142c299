"""``Slim.quant.name: qat``: PaddleSlim's fake-quants as they are; activations are not clipped before them."""

from __future__ import annotations

from ..pact_layers import alphas
from ..quantizer import PLAIN, Quantizer

QUANTIZER = Quantizer(
    clip_mode=lambda settings, observer: PLAIN,
    build=lambda target, settings: None,
    input_limit=lambda layer: None,
    learned=alphas,  # PACT may clip the weights: weight_preprocess_type
)
