"""What a schedule has zeroed, as JSON: the ``zeroed`` part of a checkpoint's sidecar file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from ...common.errors import SlimError
from ..ranges import from_ranges, to_ranges

GROUPS, CONVOLUTIONS = "groups", "convolutions"
"""Values of ``Slim.prune.schedule.layers``."""


@dataclass(frozen=True)
class MaskState:
    """What is zero in a model that still has all its channels.

    Attributes:
        layers: ``groups`` or ``convolutions``.
        chosen: for ``groups``, root weight -> channels of its group; for ``convolutions``, weight -> filters.
        settings: the ``Slim.prune`` section.
        input_shape: ``[C, H, W]``.
        affine: scales, shifts and biases that are restored before the next epoch -> their values.
    """

    layers: str
    chosen: dict[str, tuple[int, ...]]
    settings: dict[str, Any]
    input_shape: tuple[int, ...]
    affine: dict[str, list[float]] = field(default_factory=dict)

    def with_affine(self, affine: Mapping[str, list[float]]) -> MaskState:
        """Return a copy with other values to restore."""
        return replace(self, affine=dict(affine))

    def to_json(self) -> dict[str, Any]:
        """Return plain data; positions are written as ranges, ``affine`` as ``held``."""
        chosen = {name: to_ranges(positions) for name, positions in self.chosen.items()}
        return {
            "layers": self.layers,
            "chosen": chosen,
            "settings": self.settings,
            "input_shape": list(self.input_shape),
            "held": self.affine,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MaskState:
        """Read what :meth:`to_json` wrote.

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
