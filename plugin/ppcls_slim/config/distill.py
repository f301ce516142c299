"""``Slim.distill``: a teacher that the compressed model learns from while it is trained."""

from __future__ import annotations

from typing import Annotated, Any, Optional

from pydantic import ConfigDict, Field, field_validator, model_validator

from .base import MOST, Section, any_of, given

DENSE = "dense"
Weight = Annotated[float, Field(gt=0.0, le=MOST)]
_TEACHES = any_of({"properties": {"weight": {"not": {"const": 0}}}}, given("features", minProperties=1, minItems=1))


def _or_listed(schema: dict[str, Any]) -> None:
    schema["anyOf"] = [
        {"type": "object", "additionalProperties": schema.pop("additionalProperties")},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
    ]
    del schema["type"]


class DistillConfig(Section):
    """``Slim.distill``: train with ``(1 - weight) * Loss.Train + weight * T^2 * KL`` (Hinton et al., 2015)."""

    model_config = ConfigDict(json_schema_extra=_TEACHES)

    teacher: str = Field(
        DENSE,
        min_length=1,
        description=(
            "dense: the model of Arch (or of config) with its weights as loaded, before it is pruned or quantized. "
            "Else a path as in Global.pretrained_model, of a dense, pruned or quantized checkpoint."
        ),
    )
    config: Optional[str] = Field(
        None,
        min_length=1,
        description="A PaddleClas YAML whose Arch the teacher has; Arch of this one if absent.",
    )
    weight: float = Field(
        0.5, ge=0.0, le=1.0, description="Share of the teacher in the loss; Loss.Train has the rest."
    )
    temperature: float = Field(
        4.0, gt=0.0, le=1000.0, description="T, by which the logits of both are divided before the softmax."
    )
    features: dict[str, Weight] = Field(
        default_factory=dict,
        description=(
            "Layer name or pattern -> weight of the mean squared difference of its output to that of the teacher's "
            "layer of the same name, which is added to the loss. A list of names gives each the weight 1."
        ),
        json_schema_extra=_or_listed,
    )

    @field_validator("features", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        if not isinstance(value, list):
            return value
        for one in value:
            if not isinstance(one, str):
                raise ValueError(f"{one!r:.80} is not the name of a layer, or a pattern of names")
            if value.count(one) > 1:
                raise ValueError(f"'{one}' is named twice")
        return dict.fromkeys(value, 1.0)

    @model_validator(mode="after")
    def _something_to_learn(self) -> DistillConfig:
        if self.weight == 0 and not self.features:
            raise ValueError("nothing would be learned from the teacher: raise weight above 0, or name features")
        return self

    @property
    def from_itself(self) -> bool:
        """Whether the teacher is the trained model itself, as it was before compression."""
        return self.teacher == DENSE and self.config is None
