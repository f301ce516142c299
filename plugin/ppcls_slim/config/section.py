"""The ``Slim`` section of PaddleClas's YAML, typed, validated and documented::

    Slim:
      prune:
        name: fpgm
        pruned_ratio: 0.3

``ppcls-slim schema`` writes the JSON Schema of the section for editors.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Optional, Protocol

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from ..common.errors import SlimError
from ..common.validation import first_mistake
from .base import Section, all_of, any_of, false_is_off, given, no, or_else
from .deploy import DeployConfig
from .distill import DistillConfig
from .prune import PruneConfig
from .quant import QuantConfig
from .report import ReportConfig

_LETTERS = ("[Ss]", "[Ll]", "[Ii]", "[Mm]")


def _misspelt(letters: tuple[str, ...]) -> str:
    """Pattern of the word in any case, and of what one wrong, missing, further or moved letter makes of it."""
    length = range(len(letters))
    near = {letters}
    near |= {(*letters[:i], ".", *letters[i + 1 :]) for i in length}
    near |= {letters[:i] + letters[i + 1 :] for i in length}
    near |= {(*letters[:i], ".", *letters[i:]) for i in range(len(letters) + 1)}
    near |= {(*letters[:i], letters[i + 1], letters[i], *letters[i + 2 :]) for i in length[:-1]}
    return f"^\\s*(?:{'|'.join(sorted(map(''.join, near)))})\\s*$"


MISSPELT = _misspelt(_LETTERS)


_SCHEDULED = given("prune", **given("schedule"))
_IN_STEPS = given("prune", **given("steps", minimum=2))
_QUANTIZED_AT_ONCE = given("quant", **all_of({"type": "object"}, no(given("epochs"))))


class SlimConfig(Section):
    """The ``Slim`` section."""

    model_config = ConfigDict(json_schema_extra=no(all_of(any_of(_SCHEDULED, _IN_STEPS), _QUANTIZED_AT_ONCE)))

    prune: Optional[PruneConfig] = Field(
        None, description="Filter pruning.", json_schema_extra=or_else({"const": False})
    )
    quant: Optional[QuantConfig] = Field(
        None, description="Quantization.", json_schema_extra=or_else({"const": False})
    )
    distill: Optional[DistillConfig] = Field(
        None,
        description="Learn from a teacher while training: {} learns from the model before compression.",
        json_schema_extra=or_else({"const": False}),
    )
    deploy: DeployConfig = Field(default_factory=DeployConfig, description="What export writes.")
    report: Optional[ReportConfig] = Field(
        None,
        description=(
            "Export the best model and its dense twin after training and print top-1, FLOPs, parameters, "
            "file size and latency of both. true, or options."
        ),
        json_schema_extra=or_else({"type": "boolean"}),
    )

    @property
    def writes_page(self) -> bool:
        """Whether a run writes ``report.html``: unless ``report`` or ``report.page`` is false."""
        return self.report.page if self.report is not None else "report" not in self.model_fields_set

    @model_validator(mode="after")
    def _one_after_the_other(self) -> SlimConfig:
        scheduled = self.prune is not None and self.prune.schedule is not None
        if scheduled and self.quant is not None and self.quant.epochs is None:
            raise ValueError(
                "prune.schedule removes filters when training ends, and quant starts with it: set quant.epochs, and "
                "the pruned model is quantized in a second stage"
            )
        if self.prune is not None and self.prune.steps > 1 and self.quant is not None and self.quant.epochs is None:
            raise ValueError(
                "prune.steps trains the float model between the steps, and quant starts with training: set "
                "quant.epochs, and the pruned model is quantized in a stage of its own"
            )
        return self

    @field_validator("prune", "quant", "distill", "report", mode="before")
    @classmethod
    def _false_is_off(cls, value: Any) -> Any:
        return false_is_off(value)

    @field_validator("report", mode="before")
    @classmethod
    def _true_means_defaults(cls, value: Any) -> Any:
        return {} if value is True else value


class Configuration(Protocol):
    """A PaddleClas configuration, or a dictionary of the same form."""

    def __iter__(self) -> Iterator[str]: ...

    def get(self, key: str, /) -> Any: ...  # noqa: D102  (as of a dictionary)


def read_section(config: Configuration) -> Optional[SlimConfig]:
    """Return the validated ``Slim`` section of a PaddleClas configuration, or None if it has none.

    Raises:
        SlimError: unknown key or method, value out of range, or a misspelt section.
    """
    for key in config:
        if key != "Slim" and re.search(MISSPELT, str(key)):
            raise SlimError(f"unknown section '{key}' (did you mean 'Slim'?)")
    section = false_is_off(config.get("Slim"))
    if section is None:
        return None
    if not isinstance(section, Mapping):
        raise SlimError(f"Slim: expected a section with prune, quant, distill or report, found {section!r:.80}")
    try:
        slim = SlimConfig.model_validate(_plain(section))
    except ValidationError as error:
        raise SlimError(first_mistake(error, SlimConfig, "Slim")) from None
    acts = slim.prune or slim.quant or slim.distill or slim.report or "deploy" in slim.model_fields_set
    return slim if acts else None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration with a ``Slim`` section, for editors.

    It refuses what :func:`read_section` refuses, but for one thing that a schema cannot say: that
    ``prune.norm_ratio`` is not above the lowest ratio.
    """
    schema = SlimConfig.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PaddleClas configuration with ppcls_slim",
        "type": "object",
        "propertyNames": any_of({"const": "Slim"}, no({"pattern": MISSPELT})),
        "properties": {"Slim": any_of({"$ref": "#/$defs/SlimConfig"}, {"type": "null"}, {"const": False})},
        "$defs": {**definitions, "SlimConfig": schema},
    }


def _plain(value: Any) -> Any:
    """Turn PaddleClas's ``AttrDict`` into plain data."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
