"""PaddleClas's logger, for modules that may be imported before PaddleClas was found."""

from __future__ import annotations

from .stand_ins import logger

__all__ = ["logger"]
