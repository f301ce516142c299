"""What one run is: a network, a recipe, a seed. ``runs.json`` is a list of these with common defaults."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, fields, replace
from pathlib import Path


@dataclass(frozen=True)
class Recipe:
    """One run. All rates are per step; ``lr`` is the peak.

    Attributes:
        name: stem of the files that the run writes.
        weights: stem of a safetensors file to start from, with the plan's widths; None for ``depth`` and ``width``.
        random: draw new weights for the network of ``weights``.
        depth: layers of an unpruned network, ``6n + 2``.
        width: multiplier of its 16, 32 and 64 channels.
        seed: of the order of images, crop and flip, and of new weights.
        epochs: over the 50,000 images, the incomplete last batch left out.
        batch: images a step.
        lr: peak learning rate.
        schedule: ``cosine`` or ``linear``, from the peak to ``last_lr``.
        warmup: epochs from ``first_lr`` linearly to the peak.
        first_lr: share of the peak at the first step.
        last_lr: share of the peak at the last step.
        momentum: of Nesterov's SGD.
        weight_decay: of convolutions and the linear layer.
        decay_bn: of normalization and biases, too.
        smoothing: of the labels.
        ema: decay per step of the average of weights and statistics, 0 for none. The average is what is tested, too.
        teacher: stems of safetensors files, in the folder of results or of weights.
        distill_weight: of the teachers' loss.
        temperature: of that loss.
        pad: widths are computed as multiples of this.
        pack: runs of one label train as one network, see ``packing.py``; they differ in name, seed and weights only.
        test_every: epochs; the last five are always tested.
    """

    name: str
    weights: str | None = None
    random: bool = False
    depth: int = 56
    width: int = 1
    seed: int = 1
    epochs: int = 160
    batch: int = 128
    lr: float = 0.1
    schedule: str = "cosine"
    warmup: float = 1.0
    first_lr: float = 0.1
    last_lr: float = 0.0
    momentum: float = 0.9
    weight_decay: float = 5e-4
    decay_bn: bool = True
    smoothing: float = 0.0
    ema: float = 0.0
    teacher: tuple[str, ...] = ()
    distill_weight: float = 0.5
    temperature: float = 4.0
    pad: int = 8
    pack: str | None = None
    test_every: int = 5

    @property
    def needed(self) -> tuple[str, ...]:
        """Stems of the weights that have to be there before the run can start."""
        return (*self.teacher, *([self.weights] if self.weights else []))

    def same_as(self, other: Recipe) -> bool:
        """Whether the two differ in name, seed and weights only."""
        return replace(other, name=self.name, seed=self.seed, weights=self.weights, random=self.random) == self

    def rates(self, steps: int) -> list[float]:
        """Return the learning rate of every step, for ``steps`` steps an epoch."""
        total, warm = steps * self.epochs, self.warmup * steps
        rates = []
        for step in range(total):
            if step < warm:
                share = self.first_lr + (1 - self.first_lr) * step / warm
            else:
                done = (step - warm) / max(total - warm, 1)
                fallen = (1 + math.cos(math.pi * done)) / 2 if self.schedule == "cosine" else 1 - done
                share = self.last_lr + (1 - self.last_lr) * fallen
            rates.append(self.lr * share)
        return rates

    def ema_decays(self, steps: int) -> list[float]:
        """Return the decay of every step: the first steps count less, so that the start is forgotten."""
        return [min(self.ema, (1 + step) / (10 + step)) for step in range(steps * self.epochs)]

    def tests_after(self, done: int) -> bool:
        """Whether to test after this many epochs."""
        return done % self.test_every == 0 or done > self.epochs - 5


def read_runs(file: Path) -> list[Recipe]:
    """Read ``{"defaults": {...}, "runs": [{"name": ..., "seeds": [1, 2, 3], ...}, ...]}``.

    ``seeds`` makes a run of each, named ``NAME-s1`` and so on.

    Raises:
        ValueError: a key is unknown, or two runs have one name.
    """
    data = json.loads(file.read_text())
    known = {field.name for field in fields(Recipe)}
    runs = []
    for entry in data["runs"]:
        values = {**data.get("defaults", {}), **entry}
        seeds = values.pop("seeds", None)
        values["teacher"] = tuple(values.get("teacher", ()))
        if values.get("schedule", "cosine") not in ("cosine", "linear"):
            raise ValueError(f"{file}: schedule of {values['name']} is {values['schedule']}, not cosine or linear")
        unknown = sorted(set(values) - known)
        if unknown:
            raise ValueError(f"{file}: {values.get('name')} has {unknown[0]}; keys are {', '.join(sorted(known))}")
        for seed in seeds or [None]:
            named = {} if seed is None else {"seed": seed, "name": f"{values['name']}-s{seed}"}
            runs.append(Recipe(**{**values, **named}))
    if len({run.name for run in runs}) < len(runs):
        raise ValueError(f"{file}: two runs have one name")
    for pack in packs_of(runs):
        for run in pack[1:]:
            if not run.same_as(pack[0]):
                raise ValueError(f"{file}: {pack[0].name} and {run.name} are in pack {run.pack} with other settings")
    return runs


def packs_of(runs: list[Recipe]) -> list[list[Recipe]]:
    """Return the runs in order, those of one ``pack`` together."""
    packs: dict[str, list[Recipe]] = {}
    for run in runs:
        packs.setdefault(f"alone {run.name}" if run.pack is None else f"pack {run.pack}", []).append(run)
    return list(packs.values())
