"""``Slim.prune``: which filters are pruned, how many of them, and when."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal, Optional, Union

from pydantic import ConfigDict, Field, field_validator, model_validator

from ..common.errors import did_you_mean
from ..common.registry import Registry
from .base import Count, CountOrZero, Ratio, Section, Side, absent_or, all_of, any_of, given, names_in_any_case, no

LATENCY_BUDGETS = ("speedup", "latency_ms")
BUDGETS = ("pruned_flops", "pruned_parameters", *LATENCY_BUDGETS)
LATENCY_ENGINES = ("paddle", "onnx", "openvino")
"""Targets whose layers can be timed one by one."""
CRITERIA = Registry("ppcls_slim.prune.importance.criteria", "ppcls_slim.criteria", "pruning method", "CRITERION")


class ScheduleConfig(Section):
    """``Slim.prune.schedule``: prune while training, as the papers do, instead of once before it."""

    name: Literal["soft", "masked"] = Field(
        description=(
            "soft: filters are chosen and zeroed after every epoch and may grow back in between. masked: also before "
            "training, and the gradients of the chosen filters are masked until the next choice."
        )
    )
    layers: Literal["groups", "convolutions"] = Field(
        "groups",
        description=(
            "groups: channels that can be removed, masked with their normalization. convolutions: the filters of "
            "every convolution by itself and nothing else, as the FPGM authors' program."
        ),
    )


class ImportanceConfig(Section):
    """``Slim.prune.importance``: how the scores of a channel's tensors become one number."""

    aggregation: Optional[Literal["root", "sum", "mean", "max"]] = Field(
        None,
        description=(
            "root: the filters of one convolution stand for the group, as PaddleSlim. sum, mean, max: of all tensors "
            "that a channel touches. The criterion's own if absent: root for fpgm, l1_norm, l2_norm and random, sum "
            "for taylor and hessian, mean for bn_scale."
        ),
    )
    normalization: Optional[Literal["none", "mean", "max"]] = Field(
        None,
        description=(
            "What the scores of each tensor are divided by before: nothing, their mean, their largest. If absent, "
            "mean where weights alone are scored and tensors or layers are compared, none otherwise."
        ),
    )
    batches: Count = Field(32, description="Training batches that taylor and hessian score.")


def _list_engines(schema: dict[str, Any]) -> None:
    schema["anyOf"][0]["enum"] = list(LATENCY_ENGINES)


class OnConfig(Section):
    """``Slim.prune.on``: what the model shall be fast on."""

    engine: Optional[str] = Field(
        None,
        description="paddle, onnx or openvino; the first of Slim.deploy.targets if absent.",
        json_schema_extra=_list_engines,
    )
    threads: Count = Field(1, description="CPU threads of the engine.")
    batch: Count = Field(1, description="Images at once.")

    @field_validator("engine")
    @classmethod
    def _known_engine(cls, value: Optional[str]) -> Optional[str]:
        if value is not None and value not in LATENCY_ENGINES:
            near = did_you_mean(value, LATENCY_ENGINES)
            raise ValueError(f"latency on '{value}' cannot be measured{near}; there are {', '.join(LATENCY_ENGINES)}")
        return value


_ASKED = any_of(given("pruned_ratio"), given("ratios", minProperties=1))
_NOT_ZERO = {"not": {"const": 0}}
_ALL_ZERO = {"additionalProperties": {"const": 0}}
_SOME_RATIO = any_of(given("pruned_ratio", **_NOT_ZERO), given("ratios", **no(_ALL_ZERO)))
_FLOPS = given("pruned_flops")
_BUDGET = any_of(*map(given, BUDGETS))
_TWO_BUDGETS = any_of(*(all_of(given(one), given(other)) for one, other in itertools.combinations(BUDGETS, 2)))
_BY_LATENCY = any_of(*map(given, LATENCY_BUDGETS))
_GLOBAL = given("ranking", enum=["global", "isomorphic"])
_WHOLE_GROUP = given("importance", **given("aggregation", enum=["sum", "mean", "max"]))
_MIX = given("norm_ratio", **_NOT_ZERO)
_BY_CONVOLUTION = given("schedule", **given("layers", const="convolutions"))
_BY_DISTANCE = absent_or("name", pattern="^[fF][pP][gG][mM]$")
_IN_STEPS = given("steps", minimum=2)
_RULES = all_of(
    any_of(_SOME_RATIO, _BUDGET),
    no(all_of(_ASKED, _BUDGET)),
    no(_TWO_BUDGETS),
    any_of(no(given("sensitivity_file")), all_of(_FLOPS, no(_GLOBAL))),
    any_of(no(_GLOBAL), _BUDGET),
    any_of(no(given("on")), _BY_LATENCY),
    no(all_of(given("schedule"), _BY_LATENCY)),
    no(all_of(_IN_STEPS, any_of(given("schedule"), given("sensitivity_file"), _MIX))),
    # That it is not above a ratio, a schema cannot say.
    any_of(no(_MIX), all_of(_SOME_RATIO, _BY_DISTANCE, no(_WHOLE_GROUP))),
    any_of(no(given("schedule")), no(any_of(_GLOBAL, _WHOLE_GROUP))),
    any_of(no(_BY_CONVOLUTION), all_of(no(_BUDGET), absent_or("align", enum=["auto", 1]))),
)


class PruneConfig(Section):
    """``Slim.prune``: PaddleSlim's ``FPGMFilterPruner`` (``L1Norm...``, ``L2Norm...``) and its methods."""

    model_config = ConfigDict(json_schema_extra=_RULES)

    name: str = Field(
        "fpgm",
        description=(
            "How channels are scored. From weights: fpgm, l1_norm, l2_norm (PaddleSlim's), bn_scale. From training "
            "batches: taylor, hessian. random is the control. Or a plugin's."
        ),
        json_schema_extra=lambda schema: schema.update(names_in_any_case(CRITERIA.names())),
    )
    pruned_ratio: Optional[float] = Field(
        None,
        ge=0.0,
        lt=1.0,
        description="Share of the filters removed from every convolution (prune_vars).",
    )
    ratios: dict[str, Ratio] = Field(
        default_factory=dict,
        description=(
            "Layer name or pattern (blocks.*.conv1) -> ratio, instead of pruned_ratio. "
            "An exact name wins, then the first pattern that matches."
        ),
    )
    skip: list[str] = Field(
        default_factory=list,
        description="Layer names or patterns whose filters are all kept (skip_vars).",
    )
    norm_ratio: float = Field(
        0.0,
        ge=0.0,
        lt=1.0,
        description=(
            "FPGM-mix: this share of the filters is chosen by its norm, and the rest of the ratio by distance among "
            "the others. The paper's FPGM-mix 40 % is pruned_ratio 0.4 with norm_ratio 0.1."
        ),
    )
    schedule: Optional[ScheduleConfig] = Field(
        None, description="Zero filters while the dense model trains, and remove them at the end."
    )
    pruned_flops: Optional[float] = Field(
        None,
        gt=0.0,
        lt=1.0,
        description=(
            "Share of the FLOPs to remove: by ranking, by sensitivity_file where given (sensitive_prune), or with "
            "one ratio for all layers."
        ),
    )
    pruned_parameters: Optional[float] = Field(
        None, gt=0.0, lt=1.0, description="Share of the parameters to remove, as pruned_flops."
    )
    speedup: Optional[float] = Field(
        None,
        gt=1.0,
        le=1000.0,
        description="How many times faster the pruned model shall be than the dense one, measured on this machine.",
    )
    latency_ms: Optional[float] = Field(
        None, gt=0.0, description="Milliseconds that the pruned model may take, measured on this machine."
    )
    on: Optional[OnConfig] = Field(
        None, description="The engine of speedup and latency_ms; else the first of Slim.deploy.targets, one thread."
    )
    steps: Count = Field(
        1,
        description=(
            "Prune in so many steps, with fine-tuning after each: what is to be removed grows linearly, and the "
            "channels are scored anew on the weights trained so far. Global.epochs is divided between the steps."
        ),
    )
    importance: ImportanceConfig = Field(
        default_factory=ImportanceConfig, description="How the scores of a channel's tensors become one number."
    )
    ranking: Optional[Literal["layer", "global", "isomorphic"]] = Field(
        None,
        description=(
            "Who competes for a budget. layer: channels of one layer, with one ratio for all layers. global: "
            "channels of all layers, by importance for each unit of the budget. isomorphic: channels of layers of "
            "the same kind, with one ratio for all kinds. If absent, global for criteria that score whole groups, "
            "layer for others."
        ),
    )
    keep_at_least: float = Field(
        0.1, ge=0.0, lt=1.0, description="Share of its channels that ranking leaves every layer."
    )
    per_cost: bool = Field(
        True, description="ranking: global divides importance by what removing the channel saves of the budget."
    )
    sensitivity_file: Optional[str] = Field(
        None,
        description=(
            "Loss of accuracy per layer and ratio (sen_file), JSON or a pickle of PaddleSlim's. "
            "Computed on the evaluation data and written there if the file does not exist."
        ),
    )
    align: Union[Literal["auto"], Count] = Field(
        "auto",
        description="Round the channels kept to a multiple of this; auto: 8 on a GPU, 1 (as PaddleSlim) on a CPU.",
    )
    bn_batches: CountOrZero = Field(
        32,
        description=(
            "Training batches on which batch normalizations estimate their running mean and variance anew after "
            "pruning, before fine-tuning; 0 leaves them. Without schedule."
        ),
    )
    skip_leaves: bool = Field(
        True, description="Keep all filters of convolutions whose output is an output of the model."
    )
    input_shape: Optional[list[Side]] = Field(
        None,
        description="[C, H, W] of the input that the model is analysed with; Global.image_shape if absent.",
        json_schema_extra={"minItems": 3, "maxItems": 3},
    )
    input_dtype: Literal["float32", "float64", "float16", "bfloat16", "int64", "int32", "uint8"] = Field(
        "float32", description="Data type of that input."
    )

    @field_validator("name")
    @classmethod
    def _known_criterion(cls, value: str) -> str:
        name = value.lower()
        if name not in CRITERIA:
            raise ValueError(CRITERIA.unknown(name))
        return name

    @field_validator("input_shape")
    @classmethod
    def _chw(cls, value: Optional[list[int]]) -> Optional[list[int]]:
        if value is not None and len(value) != 3:
            raise ValueError(f"{value} is not [C, H, W]")
        return value

    @property
    def budget(self) -> Optional[str]:
        """The key that says how much is to be saved in all; None where ratios are given."""
        return next((key for key in BUDGETS if getattr(self, key) is not None), None)

    @property
    def by_latency(self) -> bool:
        """Whether the budget is measured time."""
        return self.budget in LATENCY_BUDGETS

    @property
    def place(self) -> OnConfig:
        """``on``, with its defaults."""
        return self.on or OnConfig()

    @model_validator(mode="after")
    def _something_to_do(self) -> PruneConfig:
        asked = self.pruned_ratio is not None or bool(self.ratios)
        budgets = [key for key in BUDGETS if getattr(self, key) is not None]
        if not asked and not budgets:
            raise ValueError(f"how much is to be pruned? Set pruned_ratio, ratios, {_either(BUDGETS)}")
        if asked and budgets:
            raise ValueError(
                f"{budgets[0]} chooses the ratios itself: remove pruned_ratio and ratios, or {budgets[0]}"
            )
        if len(budgets) > 1:
            raise ValueError(f"{' and '.join(budgets[:2])} are two budgets: set one of them")
        if self.on is not None and not self.by_latency:
            raise ValueError(f"on says where latency is measured: set {_either(LATENCY_BUDGETS)}, or remove it")
        if self.sensitivity_file is not None and self.pruned_flops is None:
            raise ValueError("sensitivity_file needs pruned_flops, the share of the FLOPs to remove")
        if asked and not self.pruned_ratio and not any(self.ratios.values()):
            raise ValueError("every ratio is 0: nothing would be pruned. Raise one, or remove the section")
        return self

    @model_validator(mode="after")
    def _steps_fit(self) -> PruneConfig:
        if self.steps == 1:
            return self
        if self.schedule is not None:
            raise ValueError(f"schedule chooses anew after every epoch: remove it, or steps {self.steps}")
        if self.sensitivity_file is not None:
            raise ValueError(
                f"sensitivity_file is of the dense network, and steps {self.steps} scores anew: remove one of them"
            )
        if self.norm_ratio:
            raise ValueError(
                f"norm_ratio is part of FPGM-mix, which prunes at once: remove it, or steps {self.steps}"
            )
        return self

    @model_validator(mode="after")
    def _ranking_fits(self) -> PruneConfig:
        by_layer = self.ranking in (None, "layer")
        if not by_layer and self.budget is None:
            raise ValueError(f"ranking: {self.ranking} needs a budget instead of ratios: {_either(BUDGETS)}")
        if not by_layer and self.sensitivity_file is not None:
            raise ValueError(f"sensitivity_file ranks layers itself: remove ranking {self.ranking}, or the file")
        if self.schedule is not None and self.by_latency:
            raise ValueError(f"schedule zeroes a share of every layer: set pruned_ratio instead of {self.budget}")
        whole_group = self.importance.aggregation not in (None, "root")
        if self.schedule is not None and (whole_group or not by_layer):
            key = "importance.aggregation" if whole_group else "ranking"
            raise ValueError(f"schedule chooses anew in every layer after every epoch: remove {key}")
        if self.norm_ratio and whole_group:
            raise ValueError("norm_ratio is part of FPGM-mix, which scores one weight: remove importance.aggregation")
        return self

    @model_validator(mode="after")
    def _schedule_and_mix_fit(self) -> PruneConfig:
        if self.norm_ratio and self.name != "fpgm":
            raise ValueError(f"norm_ratio is part of FPGM-mix: set name to fpgm, or remove it beside {self.name}")
        ratios = [ratio for ratio in (self.pruned_ratio, *self.ratios.values()) if ratio]
        if self.norm_ratio and (not ratios or self.norm_ratio > min(ratios)):
            raise ValueError(
                f"norm_ratio {self.norm_ratio:g} is part of the ratio, and cannot be more than it: lower norm_ratio, "
                "or raise pruned_ratio and every one of ratios"
            )
        if self.schedule is not None and self.schedule.layers == "convolutions":
            if self.budget is not None:
                raise ValueError(
                    f"schedule.layers: convolutions needs pruned_ratio or ratios instead of {self.budget}"
                )
            if self.align not in ("auto", 1):
                raise ValueError(f"schedule.layers: convolutions counts as the paper does: remove align {self.align}")
        return self


def _either(keys: Sequence[str]) -> str:
    return f"{', '.join(keys[:-1])} or {keys[-1]}"
