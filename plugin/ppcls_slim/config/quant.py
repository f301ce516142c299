"""``Slim.quant``: PaddleSlim's documented QAT options, PACT's, and what the plugin adds."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, Optional, Union

from pydantic import ConfigDict, Field, field_validator, model_validator

from ..common.errors import did_you_mean
from ..common.registry import Registry
from .base import (
    MOST,
    Bits,
    Count,
    CountOrZero,
    Section,
    absent_or,
    all_of,
    any_of,
    given,
    names_in_any_case,
    no,
)
from .quant_methods import (
    AUTO_OBSERVER,
    BACKEND_BITS,
    LSQ_REFUSES,
    LSQ_RULE,
    MOVING_AVERAGE,
    NEED_NO_DATA,
    LsqConfig,
    PactConfig,
)

QUANTIZERS = Registry("ppcls_slim.quant.methods", "ppcls_slim.quantizers", "quantization method", "QUANTIZER")
OBSERVERS = Registry("ppcls_slim.quant.observers", "ppcls_slim.observers", "observer", "OBSERVER")
LAYER_TYPES = ("Conv2D", "Linear", "Conv2DTranspose")
WEIGHT_TYPES = ("channel_wise_abs_max", "abs_max")
ACTIVATION_TYPES = ("moving_average_abs_max",)
# In PaddleSlim's documentation, but refused by the assertions of paddle.quantization (2.6.2 and 3.3.1).
NOT_RUN = ("range_abs_max", "moving_average_abs_max", "abs_max")
AUTO_SPEED = "auto-speed"
AUTO = "auto"
MAX_DROP = 0.005
IMPORT_PATH = r"^[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+$"


_OWN_CLASS = Field(
    None, description="Import path of a layer class of your own.", json_schema_extra={"pattern": IMPORT_PATH}
)
_IS_PACT = absent_or("name", pattern="^[pP][aA][cC][tT]$")
_WITH_PACT = any_of(
    given("activation_preprocess_type"),
    all_of(no({"required": ["activation_preprocess_type"]}), _IS_PACT, no(given("act_preprocess"))),
)
_ONE_SIDED = all_of(_WITH_PACT, given("pact", **given("form", const="one_sided")))
_AUTO_ALPHA = absent_or("pact", **absent_or("alpha", const="auto"))
_NO_BATCHES = given("calibration_batches", const=0)
_SKIPS_COSTLY = given("skip", **any_of({"const": AUTO}, {"type": "array", "contains": {"const": AUTO}}))
_RULES = all_of(
    no(all_of(given("activation_preprocess_type"), given("act_preprocess"))),
    no(all_of(given("weight_preprocess_type"), given("weight_preprocess"))),
    no(all_of(_WITH_PACT, _AUTO_ALPHA, _NO_BATCHES)),
    no(all_of(_ONE_SIDED, given("act_quantize"))),
    no(all_of(_ONE_SIDED, _NO_BATCHES)),
    no(all_of(given("bias_correction", const=True), _NO_BATCHES)),
    no(all_of(given("observer", **no(NEED_NO_DATA)), _NO_BATCHES)),
    no(all_of(_SKIPS_COSTLY, _NO_BATCHES)),
    any_of(no(given("max_drop")), _SKIPS_COSTLY),
    LSQ_RULE,
)


def _or_auto_speed(schema: dict[str, Any]) -> None:
    listed = {"type": schema.pop("type"), "items": schema.pop("items")}
    schema["anyOf"] = [listed, {"enum": [AUTO, AUTO_SPEED]}]


class QuantConfig(Section):
    """``Slim.quant``: PaddleSlim's dygraph ``QAT`` and its options."""

    model_config = ConfigDict(json_schema_extra=_RULES)

    name: str = Field(
        "pact",
        description=(
            "pact: QAT with PACT on the activations. qat: without a preprocess unless one is set. lsq: the steps of "
            "weights and activations are learned."
        ),
        json_schema_extra=lambda schema: schema.update(names_in_any_case(QUANTIZERS.names())),
    )
    weight_preprocess_type: Optional[Literal["PACT"]] = Field(None, description="PACT clips the weights too.")
    activation_preprocess_type: Optional[Literal["PACT"]] = Field(
        None, description="PACT or null; PACT where name is pact and the key is absent."
    )
    weight_quantize_type: str = Field(
        "channel_wise_abs_max",
        description=f"How weights are scaled: {' or '.join(WEIGHT_TYPES)}.",
        json_schema_extra={"enum": list(WEIGHT_TYPES)},
    )
    activation_quantize_type: str = Field(
        "moving_average_abs_max",
        description=f"How activations are scaled: {ACTIVATION_TYPES[0]}.",
        json_schema_extra={"enum": list(ACTIVATION_TYPES)},
    )
    weight_bits: Bits = Field(8, description="Bits of weights; int8 export needs 8.")
    activation_bits: Bits = Field(8, description="Bits of activations; int8 export needs 8.")
    dtype: Literal["int8"] = Field("int8", description="Type after quantization; PaddleSlim knows int8 only.")
    window_size: Count = Field(10000, description="Window of range_abs_max, which Paddle's QAT does not run.")
    moving_rate: float = Field(0.9, ge=0.0, lt=1.0, description="Decay of the moving average of activation scales.")
    quantizable_layer_type: list[str] = Field(
        default_factory=lambda: ["Conv2D", "Linear"],
        min_length=1,
        description=f"Of {', '.join(LAYER_TYPES)}.",
        json_schema_extra={"items": {"enum": list(LAYER_TYPES)}},
    )
    fuse_conv_bn: bool = Field(False, description="Fold batch normalization into the convolutions before quantizing.")
    onnx_format: bool = Field(
        True, description="Export with int8 weights (a quarter of the file); false stores floats on the int8 grid."
    )
    weight_preprocess: Optional[str] = _OWN_CLASS
    act_preprocess: Optional[str] = _OWN_CLASS
    weight_quantize: Optional[str] = _OWN_CLASS
    act_quantize: Optional[str] = _OWN_CLASS
    pact: PactConfig = Field(default_factory=PactConfig, description="Options of PACT.")
    lsq: LsqConfig = Field(default_factory=LsqConfig, description="Options of LSQ.")
    skip: list[str] = Field(
        default_factory=list,
        description=(
            "Names or patterns of layers that stay float (the paper: first and last). auto-speed, alone or among "
            "them: every export also leaves those float that measuring finds no faster in int8 in its engine. auto: "
            "the fewest also stay float without which top-1 drops by more than max_drop."
        ),
        json_schema_extra=_or_auto_speed,
    )
    max_drop: Optional[float] = Field(
        None,
        gt=0.0,
        lt=1.0,
        description=f"skip: auto: top-1 that quantization may cost before training; {MAX_DROP} if absent.",
    )
    calibration_batches: CountOrZero = Field(
        8, description="Training batches that scales and alpha start from, before the first step."
    )
    observer: str = Field(
        AUTO_OBSERVER,
        description=(
            "How the scale of a layer's input is chosen from the calibration batches. auto: mse where PACT trains it "
            "afterwards (not on the signed grid of 8 bits, where engines clip otherwise than training), "
            "moving_average elsewhere."
        ),
        json_schema_extra=lambda schema: schema.update(enum=[AUTO_OBSERVER, *OBSERVERS.names()]),
    )
    percentile: float = Field(
        99.99, gt=50.0, le=100.0, description="observer percentile: percent of the magnitudes that are not clipped."
    )
    equalize: bool = Field(
        False,
        description=(
            "Before calibration, scale channels between two convolutions with nothing but batch normalization and "
            "ReLU between them, so that the ranges of both weights are alike."
        ),
    )
    bias_correction: bool = Field(
        False,
        description=(
            "After calibration, take the mean error of every quantized layer's output, channel by channel, out of "
            "its bias or of the batch normalization behind it."
        ),
    )
    epochs: Optional[Count] = Field(
        None,
        description=(
            "Quantize after training: Global.epochs of the float (pruned) model first, then this many of the "
            "quantized one. Absent: the model is quantized before the first epoch."
        ),
    )
    learning_rate: Optional[Union[Annotated[float, Field(gt=0.0, le=MOST)], Literal["same"]]] = Field(
        None,
        description=(
            "Optimizer.lr.learning_rate while the model is quantized; same: as it is there. If absent, a tenth of it "
            "where trained weights are quantized, and as it is from scratch."
        ),
    )
    verify_samples: Count = Field(1000, description="Evaluation samples that an export is checked on.")
    verify_threshold: float = Field(
        0.02,
        ge=0.0,
        le=1.0,
        description=(
            "Warn when int8 loses more top-1 than this share, or differs in more top-1 predictions. int8 that loses "
            "20 % of top-1 (or more than this, where it is larger) is refused."
        ),
    )

    @model_validator(mode="before")
    @classmethod
    def _pact_means_pact(cls, value: Any) -> Any:
        if not isinstance(value, Mapping):
            return value
        value = dict(value)
        if isinstance(value.get("name"), str):
            value["name"] = value["name"].lower()
        if value.get("name", "pact") == "pact" and value.get("act_preprocess") is None:
            value.setdefault("activation_preprocess_type", "PACT")
        return value

    @field_validator("skip", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        words = [AUTO, AUTO_SPEED]
        if value not in words:
            raise ValueError(f"'{value}' is not a list of names, {' or '.join(words)}{did_you_mean(value, words)}")
        return [value]

    @field_validator("name")
    @classmethod
    def _known_method(cls, value: str) -> str:
        if value not in QUANTIZERS:
            raise ValueError(QUANTIZERS.unknown(value))
        return value

    @field_validator("observer")
    @classmethod
    def _known_observer(cls, value: str) -> str:
        if value != AUTO_OBSERVER and value not in OBSERVERS:
            raise ValueError(OBSERVERS.unknown(value))
        return value

    @field_validator("weight_quantize_type")
    @classmethod
    def _weights(cls, value: str) -> str:
        return _of(value, WEIGHT_TYPES)

    @field_validator("activation_quantize_type")
    @classmethod
    def _activations(cls, value: str) -> str:
        return _of(value, ACTIVATION_TYPES)

    @field_validator("quantizable_layer_type")
    @classmethod
    def _layers(cls, value: list[str]) -> list[str]:
        for one in value:
            if one not in LAYER_TYPES:
                raise ValueError(
                    f"'{one}' is not a layer type that can be quantized; there are {', '.join(LAYER_TYPES)}"
                )
        return value

    @field_validator("weight_preprocess", "act_preprocess", "weight_quantize", "act_quantize")
    @classmethod
    def _path(cls, value: Optional[str]) -> Optional[str]:
        if value is not None and re.search(IMPORT_PATH, value) is None:
            raise ValueError(f"'{value}' is not an import path; write it as package.module.Class")
        return value

    @model_validator(mode="after")
    def _skip_fits(self) -> QuantConfig:
        if self.skips_costly_layers and self.calibration_batches == 0:
            raise ValueError("skip: auto measures the calibrated model: set calibration_batches to 1 or more")
        if self.max_drop is not None and not self.skips_costly_layers:
            raise ValueError("max_drop is that of skip: auto: set it too, or remove max_drop")
        return self

    @model_validator(mode="after")
    def _fits_together(self) -> QuantConfig:
        if self.activation_preprocess_type and self.act_preprocess:
            raise ValueError("act_preprocess replaces PACT: set activation_preprocess_type to null beside it")
        if self.weight_preprocess_type and self.weight_preprocess:
            raise ValueError("weight_preprocess replaces PACT: set weight_preprocess_type to null beside it")
        if self.uses_pact and self.pact.alpha == "auto" and self.calibration_batches == 0:
            raise ValueError("pact.alpha is auto and needs data: set calibration_batches to 1 or more, or a number")
        one_sided = self.uses_pact and self.pact.form == "one_sided"
        if one_sided and self.act_quantize:
            raise ValueError("act_quantize and pact.form: one_sided both quantize activations: remove one")
        if one_sided and self.calibration_batches == 0:
            raise ValueError("pact.form: one_sided needs calibration_batches, to know which inputs are rectified")
        if self.observer not in (AUTO_OBSERVER, MOVING_AVERAGE) and self.calibration_batches == 0:
            raise ValueError(f"observer: {self.observer} needs data: set calibration_batches to 1 or more")
        if self.bias_correction and self.calibration_batches == 0:
            raise ValueError("bias_correction needs data: set calibration_batches to 1 or more")
        if self.name == "lsq":
            _check_lsq(self)
        return self

    @property
    def skip_patterns(self) -> list[str]:
        """Names and patterns of the layers that are not quantized."""
        return [one for one in self.skip if one not in (AUTO, AUTO_SPEED)]

    @property
    def skips_slow_layers(self) -> bool:
        """Whether exports leave layers float that are no faster in int8."""
        return AUTO_SPEED in self.skip

    @property
    def skips_costly_layers(self) -> bool:
        """Whether layers stay float whose quantization costs more accuracy than may be lost."""
        return AUTO in self.skip

    @property
    def largest_drop(self) -> float:
        """Top-1, 0 to 1, that quantization may cost before training."""
        return MAX_DROP if self.max_drop is None else self.max_drop

    @property
    def uses_pact(self) -> bool:
        """Whether activations go through PACT."""
        return self.activation_preprocess_type == "PACT"

    @property
    def unsigned_where_rectified(self) -> bool:
        """Whether inputs that calibration saw no negative values of are quantized to unsigned integers."""
        if not self.uses_pact:
            return self.name == "lsq" and self.lsq.form == "auto"
        possible = self.calibration_batches > 0 and self.act_quantize is None
        return self.pact.form == "one_sided" or (self.pact.form == "auto" and possible)

    @property
    def method(self) -> str:
        """Name of the quantizer: PACT may be switched on and off beside ``name``, as in PaddleSlim."""
        if self.uses_pact:
            return "pact"
        return "qat" if self.name == "pact" else self.name

    @property
    def int8_refused(self) -> Optional[str]:
        """Why a model that is trained with these settings cannot be exported to int8, or None."""
        for key in ("weight_bits", "activation_bits"):
            if getattr(self, key) != BACKEND_BITS:
                return f"Slim.quant.{key} is {getattr(self, key)}, and oneDNN and TensorRT run 8 bits only"
        for key in ("weight_quantize", "act_quantize"):
            if getattr(self, key):
                return f"Slim.quant.{key} is a quantizer of your own, which the exported operators cannot express"
        return None


def _check_lsq(settings: QuantConfig) -> None:
    """Look at the other options beside ``name: lsq``.

    Raises:
        ValueError: one of them has no place there.
    """
    for key in LSQ_REFUSES:
        if getattr(settings, key) is not None:
            raise ValueError(f"lsq quantizes weights and activations itself: remove {key}")
    for key in ("weight_bits", "activation_bits"):
        if getattr(settings, key) > BACKEND_BITS:
            raise ValueError(f"lsq is for {BACKEND_BITS} bits and below: lower {key}, or set name to pact")
    if not settings.onnx_format:
        raise ValueError("lsq exports the steps that it learned, which onnx_format: false cannot: remove it")
    if settings.calibration_batches == 0:
        raise ValueError("the steps of lsq start from data: set calibration_batches to 1 or more")
    chosen = settings.observer not in (AUTO_OBSERVER, MOVING_AVERAGE)
    if chosen and not settings.lsq.starts_from_range(settings.activation_bits):
        raise ValueError(
            f"observer: {settings.observer} does nothing for lsq: set lsq.init to observer, or remove it"
        )


def _of(value: str, known: tuple[str, ...]) -> str:
    if value in known:
        return value
    documented = "is in PaddleSlim's documentation, but Paddle's QAT does not run it"
    reason = documented if value in NOT_RUN else "is not a type of scale"
    raise ValueError(f"'{value}' {reason}; use {' or '.join(known)}")
