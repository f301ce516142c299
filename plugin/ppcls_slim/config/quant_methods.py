"""Options of the quantization methods: ``Slim.quant.pact`` and ``Slim.quant.lsq``."""

from __future__ import annotations

from typing import Annotated, Literal, Optional, Union

from pydantic import Field

from .base import MOST, Section, absent_or, all_of, any_of, given, no

BACKEND_BITS = 8
AUTO_OBSERVER, MOVING_AVERAGE = "auto", "moving_average"
NEED_NO_DATA = {"enum": [AUTO_OBSERVER, MOVING_AVERAGE]}
"""JSON Schema: observers that may stand beside ``calibration_batches: 0``, where there is nothing to observe."""


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
        description="Initial alpha of every layer; auto: the scale that Slim.quant.observer chooses.",
    )
    learning_rate: float = Field(10.0, ge=0.0, le=MOST, description="Multiplier of the learning rate for alpha.")
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
    init: Literal["auto", "mean", "observer"] = Field(
        "auto",
        description=(
            "First steps. mean: 2 mean|x| / sqrt(Q_P), as in the paper. observer: activations start from the scale "
            "that Slim.quant.observer chooses, weights from twice their largest magnitude, divided by Q_P. auto: "
            "observer at 8 bits, mean below."
        ),
    )
    learning_rate: float = Field(1.0, ge=0.0, le=MOST, description="Multiplier of the learning rate for the steps.")
    weight_decay: Optional[float] = Field(
        0.0, ge=0.0, le=MOST, description="L2 coefficient for the steps; the optimizer's if null."
    )

    def starts_from_range(self, bits: int) -> bool:
        """Whether the first steps of so many bits are a range divided by ``Q_P``."""
        return self.init == "observer" or (self.init == "auto" and bits == BACKEND_BITS)


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
                given("observer", **no(NEED_NO_DATA)),
                any_of(
                    given("lsq", **given("init", const="mean")),
                    all_of(
                        absent_or("lsq", **absent_or("init", const="auto")),
                        given("activation_bits", **no({"const": BACKEND_BITS})),
                    ),
                ),
            ),
        ),
    )
)
"""JSON Schema of what beside ``name: lsq`` is refused."""
