"""What all sections have in common, and the words in which their rules go into the JSON Schema.

A rule between keys stands twice, side by side: as a validator, whose message names the remedy, and as a part of the
JSON Schema. ``tests/config/test_schema.py`` holds that both refuse the same sections.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

MOST = 10**9
"""No count in a configuration is larger; Paddle and Python raise somewhere above."""


class Section(BaseModel):
    """A part of the ``Slim`` section: unknown keys are mistakes, and nothing is changed after validation.

    Strict, as a JSON Schema is: the text ``"0.3"`` is not a number, and ``true`` is not 1.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _whole(value: Any) -> Any:
    """``8.0`` -> 8, which JSON does not tell apart."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Count = Annotated[int, Field(ge=1, le=MOST), BeforeValidator(_whole)]
CountOrZero = Annotated[int, Field(ge=0, le=MOST), BeforeValidator(_whole)]
Bits = Annotated[int, Field(ge=2, le=16), BeforeValidator(_whole)]
LARGEST_SIDE = 65536
Side = Annotated[int, Field(ge=1, le=LARGEST_SIDE), BeforeValidator(_whole)]
"""Channels, height or width of an input."""
Ratio = Annotated[float, Field(ge=0.0, lt=1.0)]


def false_is_off(value: Any) -> Any:
    """``prune: false`` is the same as no ``prune``."""
    return None if value is False else value


def or_else(other: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
    """JSON Schema: what the annotation says, or something else."""
    return lambda schema: schema["anyOf"].append(other)


def names_in_any_case(names: Sequence[str]) -> dict[str, Any]:
    """JSON Schema of a name that is not case-sensitive; editors complete it as it is written here."""
    spellings = ("".join(f"[{c.lower()}{c.upper()}]" if c.isalpha() else f"[{c}]" for c in name) for name in names)
    return {"anyOf": [{"enum": list(names)}, {"pattern": f"^(?:{'|'.join(spellings)})$"}]}


def given(key: str, **schema: Any) -> dict[str, Any]:
    """JSON Schema: the key is there, is not null, and is as the schema says."""
    return {"type": "object", "required": [key], "properties": {key: all_of(no({"type": "null"}), schema)}}


def absent_or(key: str, **schema: Any) -> dict[str, Any]:
    """JSON Schema: the key is as the schema says, or is not there."""
    return {"properties": {key: schema}}


def all_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema: every one of them."""
    return {"allOf": list(schemas)}


def any_of(*schemas: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema: at least one of them."""
    return {"anyOf": list(schemas)}


def no(schema: dict[str, Any]) -> dict[str, Any]:
    """JSON Schema: not this one."""
    return {"not": schema}
