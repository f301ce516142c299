"""The ``Slim`` section of PaddleClas's YAML, typed, validated and documented::

    Slim:
      prune:
        name: fpgm
        pruned_ratio: 0.3

``ppcls-slim schema`` writes the JSON Schema of the section for editors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Optional, Protocol

from pydantic import Field, ValidationError, field_validator, model_validator

from ..common.errors import SlimError
from ..common.validation import first_mistake
from .base import Section
from .deploy import DeployConfig
from .prune import PruneConfig
from .quant import QuantConfig
from .report import ReportConfig


class SlimConfig(Section):
    """The ``Slim`` section."""

    prune: Optional[PruneConfig] = None
    quant: Optional[QuantConfig] = None
    deploy: DeployConfig = Field(default_factory=DeployConfig, description="What export writes.")
    report: Optional[ReportConfig] = Field(
        None,
        description=(
            "Export the best model and its dense twin after training and print top-1, FLOPs, parameters, "
            "file size and latency of both. true, or options."
        ),
    )

    @model_validator(mode="after")
    def _one_after_the_other(self) -> SlimConfig:
        scheduled = self.prune is not None and self.prune.schedule is not None
        if scheduled and self.quant is not None and self.quant.epochs is None:
            raise ValueError(
                "prune.schedule removes filters when training ends, and quant starts with it: set quant.epochs, and "
                "the pruned model is quantized in a second stage"
            )
        return self

    @field_validator("report", mode="before")
    @classmethod
    def _true_means_defaults(cls, value: Any) -> Any:
        return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value


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
        if key != "Slim" and isinstance(key, str) and key.lower() in {"slim", "slims", "silm", "sllm"}:
            raise SlimError(f"unknown section '{key}' (did you mean 'Slim'?)")
    section = config.get("Slim")
    if not section:
        return None
    if not isinstance(section, Mapping):
        raise SlimError(f"Slim: expected a section with the key prune or quant, found '{section}'")
    try:
        slim = SlimConfig.model_validate(_plain(section))
    except ValidationError as error:
        raise SlimError(first_mistake(error, SlimConfig, "Slim")) from None
    return slim if slim.model_fields_set else None


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of a configuration with a ``Slim`` section, for editors."""
    schema = SlimConfig.model_json_schema()
    definitions = schema.pop("$defs", {})
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PaddleClas configuration with ppcls_slim",
        "type": "object",
        "properties": {"Slim": schema},
        "$defs": definitions,
    }


def _plain(value: Any) -> Any:
    """Turn PaddleClas's ``AttrDict`` (whose keys may hold false values for "off") into plain data."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items() if v is not False or k not in ("prune", "quant")}
    if isinstance(value, (list, tuple)):
        return [_plain(v) for v in value]
    return value
