"""What a training with a schedule has zeroed, as JSON: the ``zeroed`` part of a checkpoint's sidecar file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...common.errors import SlimError
from ..plan import from_ranges, to_ranges

GROUPS, CONVOLUTIONS = "groups", "convolutions"


@dataclass(frozen=True)
class MaskState:
    """What is zero in a network that still has all its channels: the ``zeroed`` part of a sidecar file.

    Attributes:
        layers: ``groups`` or ``convolutions``.
        chosen: for ``groups``, root_weight weight -> channels of its group; for ``convolutions``, weight -> filters.
        settings: the ``Slim.prune`` section.
        input_shape: ``[C, H, W]``.
        held: scales, shifts and biases that training puts back before the next epoch; parameter -> values.
    """

    layers: str
    chosen: dict[str, tuple[int, ...]]
    settings: dict[str, Any]
    input_shape: tuple[int, ...]
    held: dict[str, list[float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain data; positions are written as ranges."""
        chosen = {name: to_ranges(positions) for name, positions in self.chosen.items()}
        return {
            "layers": self.layers,
            "chosen": chosen,
            "settings": self.settings,
            "input_shape": list(self.input_shape),
            "held": self.held,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MaskState:
        """The reverse.

        Raises:
            SlimError: a part is missing or malformed.
        """
        try:
            chosen = {name: from_ranges(positions) for name, positions in data["chosen"].items()}
            return cls(data["layers"], chosen, dict(data["settings"]), tuple(data["input_shape"]), dict(data["held"]))
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise SlimError(
                f"the zeroed part of the sidecar file cannot be read ({type(error).__name__}: {error}): restore it"
            ) from None
