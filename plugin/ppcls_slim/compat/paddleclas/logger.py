"""PaddleClas's logger, for modules that may be imported before PaddleClas was found."""

from __future__ import annotations

from .engine import load_engine

load_engine()

from ppcls.utils import logger  # noqa: E402  (after PaddleClas was found)

__all__ = ["logger"]
