"""How a model was quantized, as JSON: the ``quant`` part of a checkpoint's sidecar file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..common.errors import SlimError
from ..config.quant import QuantConfig


@dataclass(frozen=True)
class QuantRecord:
    """All that is needed to build the quantized model again from the float one.

    Attributes:
        settings: the section that it was quantized with.
        layers: layer -> how its input is quantized: ``plain``, or the form of PACT: ``two_sided``, ``rectified`` (the
            same, for inputs that are not negative) or ``one_sided``.
        skipped_layers: layer of a quantizable type that stays float -> why.
        fused: convolution -> the batch normalization that was folded into it.
    """

    settings: QuantConfig
    layers: dict[str, str]
    skipped_layers: dict[str, str] = field(default_factory=dict)
    fused: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        settings = self.settings.model_dump(mode="json")
        return {"settings": settings, "layers": self.layers, "floats": self.skipped_layers, "fused": self.fused}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> QuantRecord:
        """The reverse.

        Raises:
            SlimError: it was written by a release with other options, or edited.
        """
        try:
            settings = QuantConfig.model_validate(data["settings"])
            return cls(settings, dict(data["layers"]), dict(data["floats"]), dict(data["fused"]))
        except (KeyError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:160]
            raise SlimError(f"the quant part of the sidecar file cannot be read ({reason}): restore it") from None

    def summary(self) -> str:
        """One line for the log."""
        settings = self.settings
        forms = [f"{n} {form}" for form in ("one_sided", "two_sided", "rectified") if (n := self.count(form))]
        pact = f", PACT {' and '.join(forms)}" if forms else ""
        return (
            f"{len(self.layers)} layers quantized, weights {settings.weight_bits} bits "
            f"{settings.weight_quantize_type}, "
            f"activations {settings.activation_bits} bits {settings.activation_quantize_type}{pact}; "
            f"{len(self.skipped_layers)} stay float"
        )

    def count(self, form: str) -> int:
        """How many layers quantize their input in this form."""
        return sum(value == form for value in self.layers.values())
