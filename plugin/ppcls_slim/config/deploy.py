"""``Slim.deploy``: the engines that a model is exported for."""

from __future__ import annotations

from typing import Any

from pydantic import Field, field_validator

from ..common.errors import did_you_mean
from ..common.registry import Registry
from .base import Section

TARGETS = Registry("ppcls_slim.deploy.targets", "ppcls_slim.targets", "deployment target", "TARGET")
PADDLE = "paddle"
"""Paddle Inference: ``paddle_int8`` for quantized models, ``paddle_fp32`` for others."""


def target_names() -> list[str]:
    """What ``Slim.deploy.targets`` accepts."""
    return [PADDLE, *(name for name in TARGETS.names() if not name.startswith(f"{PADDLE}_"))]


def _list_names(schema: dict[str, Any]) -> None:
    schema["items"]["enum"] = target_names()
    schema["uniqueItems"] = True


class DeployConfig(Section):
    """``Slim.deploy``."""

    targets: list[str] = Field(
        default_factory=lambda: [PADDLE],
        min_length=1,
        description=(
            "Engines to export for. paddle is written to Global.save_inference_dir itself, the others to a folder of "
            "their name in it."
        ),
        json_schema_extra=_list_names,
    )

    @field_validator("targets")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        names = target_names()
        for name in value:
            if name not in names:
                raise ValueError(
                    f"'{name}' is not a deployment target{did_you_mean(name, names)}; there are {', '.join(names)}"
                )
        if len(set(value)) < len(value):
            raise ValueError("a target is named twice")
        return value
