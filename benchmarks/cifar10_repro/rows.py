"""What is trained: the rows of the published tables, in the order in which they are worth running."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatch


@dataclass(frozen=True)
class Spec:
    """One training run.

    Attributes:
        depth: 20, 32, 44, 56 or 110.
        seed: of the initial weights, the order of the images and the augmentation.
        norm_keep: part of every layer's filters that the norm leaves (the authors' ``rate_norm``).
        distance: part pruned by distance (the authors' ``rate_dist``).
        schedule: ``masked`` (the authors' program) or ``soft`` (the paper's text).
        bits: weights and activations for PACT or LSQ, or None for float.
        alpha: PACT's first clipping value.
        start: stem of a safetensors file to start from; the learning rate is then a tenth.
        method: with bits, ``pact`` (weights by DoReFa) or ``lsq`` (a step per output channel and per input).
        float_shortcuts: quantize what convolutions read, and not what shortcuts carry.
        recipe: ``fpgm`` (the authors' script), ``pact`` or ``cosine``, see :data:`training.RECIPES`.
    """

    depth: int
    seed: int
    norm_keep: float = 1.0
    distance: float = 0.0
    schedule: str = "masked"
    bits: int | None = None
    alpha: float = 10.0
    start: str | None = None
    method: str = "pact"
    float_shortcuts: bool = False
    recipe: str = "fpgm"

    @property
    def pruned(self) -> bool:
        """Whether filters are chosen at all."""
        return self.norm_keep < 1 or self.distance > 0

    @property
    def label(self) -> str:
        """The row that the run belongs to: everything but the seed."""
        if self.bits:
            shortcuts = "-floatcut" if self.float_shortcuts and self.method == "pact" else ""
            recipe = "-recipe" if self.recipe == "pact" else ""
            return f"r{self.depth}-{self.method}-{self.bits}bit{shortcuts}{recipe}"
        parts = [f"r{self.depth}"]
        if self.pruned:
            by_norm = f"norm{round(100 * (1 - self.norm_keep))}-" if self.norm_keep < 1 else ""
            parts.append(f"{by_norm}fpgm{round(100 * self.distance)}-{self.schedule}")
        else:
            parts.append("dense")
        return "-".join([*parts, "tuned"] if self.start else parts)

    @property
    def name(self) -> str:
        """Label and seed; the stem of the files that the run writes."""
        return f"{self.label}-s{self.seed}"


def _seeds(count: int, **spec: object) -> list[Spec]:
    return [Spec(seed=seed, **spec) for seed in range(1, count + 1)]


ROWS: dict[str, list[Spec]] = {
    "a": _seeds(3, depth=20) + _seeds(3, depth=20, distance=0.3) + _seeds(3, depth=20, distance=0.4),
    "b": [spec for bits in (4, 3, 2) for spec in _seeds(2, depth=20, bits=bits)],
    "c": [
        *_seeds(3, depth=56, distance=0.4, start="resnet56"),
        *_seeds(3, depth=20, norm_keep=0.9, distance=0.3),
        # What the authors' script runs under the name of FPGM-mix 40 % for ResNet-20: see the README.
        *_seeds(3, depth=20, distance=0.1),
    ],
    "d": [
        *_seeds(3, depth=32),
        *_seeds(3, depth=32, distance=0.3),
        *_seeds(3, depth=32, distance=0.4),
        *_seeds(3, depth=56),
        *_seeds(3, depth=56, distance=0.4),
        *_seeds(2, depth=20, bits=5),
        *_seeds(1, depth=20, distance=0.3, schedule="soft"),
    ],
    # LSQ, as its paper: from trained weights, cosine, quantized inputs of convolutions, float shortcuts.
    "e": [
        spec
        for bits in (2, 3, 4)
        for spec in _seeds(
            3, depth=20, bits=bits, method="lsq", float_shortcuts=True, recipe="cosine", start="resnet20"
        )
    ],
    # PACT at 2 bits with the two suspects of docs/reproduction.md, each alone and both.
    "f": [
        spec
        for suspects in (
            {"float_shortcuts": True},
            {"recipe": "pact"},
            {"float_shortcuts": True, "recipe": "pact"},
        )
        for spec in _seeds(3, depth=20, bits=2, **suspects)
    ],
}


def find(patterns: list[str]) -> list[Spec]:
    """Return the runs whose row letter or name matches a pattern (``a``, ``r20-*-s1``), in table order.

    Raises:
        ValueError: a pattern matches nothing.
    """
    runs = [(row, spec) for row, specs in ROWS.items() for spec in specs]
    for pattern in patterns:
        if not any(row == pattern or fnmatch(spec.name, pattern) for row, spec in runs):
            raise ValueError(f"no run matches {pattern!r}; rows are {', '.join(ROWS)}")
    return [s for row, s in runs if any(row == p or fnmatch(s.name, p) for p in patterns)]
