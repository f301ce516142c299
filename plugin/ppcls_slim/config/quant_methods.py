"""Options of the quantization methods: ``Slim.quant.pact`` and ``Slim.quant.lsq``."""

from __future__ import annotations

from typing import Annotated, Literal, Optional, Union

from pydantic import Field

from .base import MOST, Section, absent_or, all_of, any_of, given, no

BACKEND_BITS = 8
MOVING_AVERAGE = "moving_average"


class PactConfig(Section):
    """``Slim.quant.pact``: how activations are clipped."""

    form: Literal["auto", "two_sided", "one_sided"] = Field(
        "auto",
        description=(
            "one_sided: the paper's clip to [0, alpha], quantized to unsigned bits; layers whose calibration inputs "
            "are negative stay two_sided. two_sided: PaddleSlim's clip to [-alpha, alpha] before the fake quantizer, "
            "as TensorRT needs it. auto: one_sided where it is possible."
        ),
    )
    alpha: Union[Literal["auto"], Annotated[float, Field(gt=0.0, le=MOST)]] = Field(
        "auto",
        description="Initial alpha of every layer; auto: the mean largest magnitude of the calibration batches.",
    )
    learning_rate: float = Field(1.0, ge=0.0, le=MOST, description="Multiplier of the learning rate for alpha.")
    weight_decay: Optional[float] = Field(
        None, ge=0.0, le=MOST, description="L2 coefficient for alpha; the optimizer's if absent (as in the paper)."
    )


class LsqConfig(Section):
    """``Slim.quant.lsq``: how the sizes of the steps are learned."""

    form: Literal["auto", "signed"] = Field(
        "auto",
        description=(
            "auto: activations get unsigned integers where calibration saw no negative inputs, and signed ones "
            "elsewhere. signed: signed ones everywhere, as TensorRT needs them."
        ),
    )
    init: Literal["mean", "observer"] = Field(
        "mean",
        description=(
            "First steps. mean: 2 mean|x| / sqrt(Q_P), as in the paper. observer: activations start from the scale "
            "that Slim.quant.observer chooses, weights from their largest magnitude, each divided by Q_P."
        ),
    )
    learning_rate: float = Field(1.0, ge=0.0, le=MOST, description="Multiplier of the learning rate for the steps.")
    weight_decay: Optional[float] = Field(
        0.0, ge=0.0, le=MOST, description="L2 coefficient for the steps; the optimizer's if null."
    )


LSQ_REFUSES = ("weight_preprocess_type", "activation_preprocess_type", "weight_quantize", "act_quantize")
"""Other ways to clip or to quantize."""
LSQ_RULE = no(
    all_of(
        given("name", pattern="^[lL][sS][qQ]$"),
        any_of(
            *(given(key) for key in LSQ_REFUSES),
            given("onnx_format", const=False),
            given("calibration_batches", const=0),
            *(given(key, exclusiveMinimum=BACKEND_BITS) for key in ("weight_bits", "activation_bits")),
            all_of(
                given("observer", **no({"const": MOVING_AVERAGE})),
                absent_or("lsq", **absent_or("init", const="mean")),
            ),
        ),
    )
)
"""JSON Schema of what beside ``name: lsq`` is refused."""
