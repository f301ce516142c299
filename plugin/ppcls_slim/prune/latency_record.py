"""What came of ``speedup`` or ``latency_ms``, as a part of the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import Field

from .sidecar_types import Part, Size


@dataclass(frozen=True)
class Latency:
    """What ``speedup`` or ``latency_ms`` asked for, and what came of it.

    Attributes:
        engine: with its version.
        threads: CPU threads.
        batch: images at once.
        precision: ``fp32``.
        target: milliseconds asked for.
        dense: milliseconds of the dense model.
        predicted: of the pruned model, before it was measured.
        measured: of the pruned model, exported.
        rounds: what every round of the search predicted and measured.
        layers: layer -> its milliseconds in the dense and in the pruned model, as the search adds them up.
    """

    engine: str
    threads: int
    batch: int
    precision: str
    target: float
    dense: float
    predicted: float
    measured: float
    rounds: tuple[tuple[float, float], ...] = ()
    layers: Mapping[str, tuple[float, float]] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return {
            **asdict(self),
            "rounds": _lists(self.rounds),
            "layers": dict(zip(self.layers, _lists(self.layers.values()))),
        }

    def __str__(self) -> str:
        threads = f"{self.threads} thread{'s' if self.threads > 1 else ''}"
        batch = f", batch {self.batch}" if self.batch > 1 else ""
        return (
            f"predicted {self.predicted:.3g} ms, measured {self.measured:.3g} ms, dense {self.dense:.3g} ms: "
            f"{self.dense / self.measured:.2f} times on {self.engine}, {threads}{batch}"
        )


class LatencyPart(Part):
    """``latency``: what was asked for, predicted and measured, in milliseconds."""

    engine: str
    threads: Size
    batch: Size
    precision: str
    target: float = Field(gt=0.0)
    dense: float = Field(gt=0.0)
    predicted: float = Field(gt=0.0)
    measured: float = Field(gt=0.0)
    rounds: list[list[float]] = Field(default_factory=list)
    layers: dict[str, list[float]] = Field(default_factory=dict)

    def read(self) -> Latency:
        """Return what it says."""
        layers = {name: tuple(times) for name, times in self.layers.items()}
        return Latency(**{**self.model_dump(), "rounds": tuple(map(tuple, self.rounds)), "layers": layers})


def _lists(pairs: Iterable[tuple[float, float]]) -> list[list[float]]:
    return [[round(value, 6) for value in pair] for pair in pairs]
