"""A section AMP counts even where it is switched off.

Symptom: ``AMP: {use_amp: False}`` trains with mixed precision.
Versions: PaddleClas 2.4.2 and release/2.5; release/2.5.2 and develop read ``use_amp``.
Delete when: the 2.4.2 wheel is not supported any more.
"""

from __future__ import annotations

from ..types import ClasConfig


def patch(config: ClasConfig) -> None:
    """Take out a section AMP that is switched off."""
    section = config.get("AMP")
    if isinstance(section, dict) and section.get("use_amp", True) is False:
        config["AMP"] = None
