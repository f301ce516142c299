"""How a model was quantized, as JSON: the ``quant`` part of a checkpoint's sidecar file."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Optional

from pydantic import BaseModel, ValidationError

from ..common.errors import SlimError
from ..common.validation import first_mistake
from ..config.quant import QuantConfig

USER_CLASSES = ("weight_preprocess", "act_preprocess", "weight_quantize", "act_quantize")
"""Options that name a class to import."""


class QuantPart(BaseModel):
    """The JSON of a :class:`QuantRecord`; ``floats`` are its ``skipped_layers``."""

    settings: QuantConfig
    layers: dict[str, str]
    floats: dict[str, str]
    fused: dict[str, str]


@dataclass(frozen=True)
class QuantRecord:
    """Everything that is needed to build the quantized model again from the float one.

    Attributes:
        settings: ``Slim.quant`` as it was.
        layers: layer -> clip mode of its input: ``plain`` (no clip) or, with PACT, ``two_sided``, ``rectified`` (the
            same clip, for inputs that are not negative) or ``one_sided``; with LSQ ``signed`` or ``unsigned``.
        skipped_layers: layer of a quantizable type that stays float -> reason.
        fused: convolution -> the batch normalization that was folded into it.
    """

    settings: QuantConfig
    layers: dict[str, str]
    skipped_layers: dict[str, str] = field(default_factory=dict)
    fused: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain data, for a JSON file."""
        settings = self.settings.model_dump(mode="json")
        return {"settings": settings, "layers": self.layers, "floats": self.skipped_layers, "fused": self.fused}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> QuantRecord:
        """Return the record that :meth:`to_json` made ``data`` of.

        Raises:
            SlimError: it was edited, or written by a release with other options.
        """
        try:
            part = QuantPart.model_validate(data)
            return cls(part.settings, part.layers, part.floats, part.fused)
        except ValidationError as error:
            reason = first_mistake(error, QuantPart)
        raise SlimError(f"the quant part of the sidecar file cannot be read ({reason[:200]}): restore it")

    def check_user_classes(self, configured: Optional[QuantConfig]) -> None:
        """Refuse to import a class because a checkpoint names it.

        Args:
            configured: ``Slim.quant`` of this run, which is the user's own word.

        Raises:
            SlimError: the configuration does not name the class.
        """
        for key in USER_CLASSES:
            path = getattr(self.settings, key)
            if path is not None and path != getattr(configured, key, None):
                raise SlimError(f"it was quantized with the class {path}; to import it, set Slim.quant.{key}={path}")

    def summary(self) -> str:
        """Return one line for the log."""
        settings = self.settings
        modes = Counter(mode for mode in self.layers.values() if mode != "plain")
        clipped = " and ".join(f"{count} {mode}" for mode, count in sorted(modes.items()))
        return (
            f"{len(self.layers)} layers quantized, weights {settings.weight_bits} bits "
            f"{settings.weight_quantize_type}, "
            f"activations {settings.activation_bits} bits {settings.activation_quantize_type}"
            f"{', ' if clipped else ''}{settings.method.upper() + ' ' if clipped else ''}{clipped}; "
            f"{len(self.skipped_layers)} stay float"
        )
