"""What all sections have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A part of the ``Slim`` section: unknown keys are mistakes, and nothing is changed after validation."""

    model_config = ConfigDict(extra="forbid", frozen=True)
