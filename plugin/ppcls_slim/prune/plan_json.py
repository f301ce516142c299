"""The JSON of a plan: ``groups`` are its decisions, ``cuts`` its slices. Kept positions are ranges, ``0-3,7``.

Equal ranges of ``cuts`` are written once, under ``sets``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Optional

from pydantic import AfterValidator, Field

from .latency_record import LatencyPart
from .ranges import from_ranges
from .sidecar_types import Count, InputShape, Part, Settings, Size
from .slices import ParamSlice, SlicePlan

FORMAT = 1
"""Version of the JSON."""


class GroupPart(Part):
    """One of the ``groups``. ``master`` is the root weight, ``units`` counts its prunable channels."""

    master: str
    layers: list[str]
    units: Size
    kept: Count
    ratio: float = Field(ge=0.0, le=1.0)
    note: str
    keep: str
    flops: Optional[Annotated[list[Count], Field(min_length=2, max_length=2)]] = None


class CutPart(Part):
    """One of the ``cuts``: the dense shape, and for every axis that changes the name of the set that is kept."""

    shape: list[Size] = Field(min_length=1)
    keep: dict[str, str]
    picks: Optional[str] = None


def _dense_and_pruned(counts: dict[str, int]) -> dict[str, int]:
    if not counts.get("dense", 0) or "pruned" not in counts:
        raise ValueError("has to count the dense and the pruned model")
    return counts


Counts = Annotated[dict[str, Count], AfterValidator(_dense_and_pruned)]


class PlanPart(Part):
    """A plan."""

    format: Literal[1]
    criterion: str
    settings: Settings
    align: Size
    align_because: str
    input_shape: InputShape
    flops: Counts
    parameters: Counts
    groups: list[GroupPart]
    frozen: dict[str, str]
    cuts: dict[str, CutPart]
    conv_groups: dict[str, Size]
    sizes: dict[str, Size]
    sets: dict[str, str]
    latency: Optional[LatencyPart] = None
    step: Optional[Annotated[list[Size], Field(min_length=2, max_length=2)]] = None

    def slices(self) -> SlicePlan:
        """Return what the plan means for every parameter.

        Raises:
            ValueError: a position is not one of its axis.
            KeyError: a set is missing.
        """
        return SlicePlan(
            {name: _slice(cut, self.sets) for name, cut in self.cuts.items()}, self.conv_groups, self.sizes
        )


def _slice(cut: CutPart, sets: Mapping[str, str]) -> ParamSlice:
    keep: dict[int, tuple[int, ...]] = {}
    for axis, name in cut.keep.items():
        if not 0 <= int(axis) < len(cut.shape):
            raise ValueError(f"axis {axis} of the shape {cut.shape}")
        keep[int(axis)] = from_ranges(sets[name], cut.shape[int(axis)])
    if not all(keep.values()):
        raise ValueError("nothing would be kept")
    return ParamSlice(tuple(cut.shape), keep, from_ranges(sets[cut.picks]) if cut.picks is not None else None)
