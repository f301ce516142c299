"""What a schedule has zeroed, as JSON: the ``zeroed`` part of a checkpoint's sidecar file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError

from ...common.errors import SlimError
from ...common.validation import first_mistake
from ...config.prune import PruneConfig
from ..ranges import from_ranges, to_ranges
from ..sidecar_types import InputShape, Part, Settings

GROUPS, CONVOLUTIONS = "groups", "convolutions"
"""Values of ``Slim.prune.schedule.layers``."""


def _is_section(settings: dict[str, Any]) -> dict[str, Any]:
    try:
        PruneConfig.model_validate(settings)
    except ValidationError as error:
        raise ValueError(first_mistake(error, PruneConfig)) from None
    return settings


class MaskPart(Part):
    """The JSON of a :class:`MaskState`; ``held`` is its ``affine``."""

    layers: Literal["groups", "convolutions"]
    chosen: dict[str, str]
    settings: Annotated[Settings, AfterValidator(_is_section)]
    input_shape: InputShape
    held: dict[str, list[Annotated[float, Field(allow_inf_nan=False)]]]


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
            part = MaskPart.model_validate(data)
            chosen = {name: from_ranges(positions) for name, positions in part.chosen.items()}
            return cls(part.layers, chosen, part.settings, tuple(part.input_shape), part.held)
        except ValidationError as error:
            reason = first_mistake(error, MaskPart)
        except ValueError as error:
            reason = str(error)
        raise SlimError(f"the zeroed part of the sidecar file cannot be read ({reason[:200]}): restore it")

    def check_fits(self, positions: Mapping[str, int]) -> None:
        """Refuse what belongs to another model.

        Args:
            positions: root weight -> channels of its group, or weight of a convolution -> its filters.

        Raises:
            SlimError: a name or a position is not among them.
        """
        for name, chosen in self.chosen.items():
            if max(chosen, default=-1) >= positions.get(name, 0):
                raise SlimError(
                    f"zeroed filters of {name}, which the model does not have. Is Arch the one that was pruned?"
                )
