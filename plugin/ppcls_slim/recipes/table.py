"""The recipes: for a family of backbones, a goal and an engine, what to write and what came of it.

``recipes.csv`` is written by ``python -m benchmarks.recipes`` from the figures that this repository has measured;
``families.csv`` says which backbones belong together, ``engines.csv`` what engines need.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cache
from pathlib import Path
from typing import Optional

from ..common.errors import SlimError, did_you_mean

FOLDER = Path(__file__).parent
GOALS = ("fast", "small", "accurate")
DEFAULT, ANY = "default", "*"


@dataclass(frozen=True)
class Engine:
    """What an engine needs; texts are empty where there is nothing to say.

    Attributes:
        engine: as ``--engine`` names it.
        name: its own name.
        target: in ``Slim.deploy.targets``.
        packages: that it needs, by the names that they are imported by.
        extra: of ppcls_slim, which brings them.
        align: multiple of channels that it computes at once, where that is not measured while pruning.
        quantizes: ``yes`` where it runs int8.
        form: ``Slim.quant.pact.form`` that it needs.
        measures_latency: ``yes`` where ``Slim.prune.speedup`` can time it.
        bf16: ``yes`` where it runs BF16 on CPUs that have it.
    """

    engine: str
    name: str
    target: str
    packages: str
    extra: str
    align: str
    quantizes: str
    form: str
    measures_latency: str
    bf16: str


@dataclass(frozen=True)
class Recipe:
    """A row of ``recipes.csv``; texts are empty where nothing was measured.

    Attributes:
        family: of backbones, or ``default``.
        goal: one of :data:`GOALS`.
        engine: that the figures were measured on, or ``*`` where they do not depend on it.
        criterion: ``Slim.prune.name``; empty: nothing is pruned.
        budget: ``speedup`` or ``pruned_ratio``.
        value: of that key.
        align: ``Slim.prune.align``.
        quantizer: ``Slim.quant.name``; empty: stays float.
        skip: ``Slim.quant.skip``, words with blanks between them.
        epochs: of training with quantization.
        learning_rate: factor of ``Optimizer.lr.learning_rate`` in them.
        pruned_times: dense latency : pruned, in FP32.
        int8_times: latency in FP32 : int8.
        bf16_times: latency in FP32 : BF16, without training.
        both_times: latency of dense FP32 : pruned and int8.
        flops_removed: share, by pruning.
        smaller: file of weights, dense FP32 : compressed.
        backbone: that was measured.
        note: what else is known.
        source: of the figures, a file of the repository.
    """

    family: str
    goal: str
    engine: str
    criterion: str
    budget: str
    value: str
    align: str
    quantizer: str
    skip: str
    epochs: str
    learning_rate: str
    pruned_times: str
    int8_times: str
    bf16_times: str
    both_times: str
    flops_removed: str
    smaller: str
    backbone: str
    note: str
    source: str

    @property
    def prunes(self) -> bool:
        """Whether the section prunes."""
        return bool(self.criterion)


@cache
def recipes() -> tuple[Recipe, ...]:
    """All rows; of a family and a goal, the engine that was the fastest comes first."""
    return tuple(Recipe(*(row[field.name] for field in fields(Recipe))) for row in _read("recipes.csv"))


@cache
def engines() -> dict[str, Engine]:
    """Name -> engine."""
    rows = (Engine(*(row[field.name] for field in fields(Engine))) for row in _read("engines.csv"))
    return {one.engine: one for one in rows}


def find_engine(name: str) -> Engine:
    """Return the engine of this name.

    Raises:
        SlimError: there is none.
    """
    if name not in engines():
        near = did_you_mean(name, engines())
        raise SlimError(f"--engine: there is no engine '{name}'{near}; there are {', '.join(engines())}")
    return engines()[name]


def family_of(backbone: str) -> str:
    """Return the family that a backbone belongs to, or ``default``."""
    for row in _read("families.csv"):
        if any(fnmatchcase(backbone, pattern) for pattern in row["patterns"].split()):
            return row["family"]
    return DEFAULT


def find_recipe(family: str, goal: str, engine: Optional[str]) -> Recipe:
    """Return the row for a family: measured on the engine, or else what is known of the family, or else the default.

    Args:
        family: see :func:`family_of`.
        goal: one of :data:`GOALS`.
        engine: None: the one that was the fastest.
    """
    rows = [row for row in recipes() if row.goal == goal]
    of_family = [row for row in rows if row.family == family] or [row for row in rows if row.family == DEFAULT]
    if engine is None:
        return of_family[0]
    by_engine = {row.engine: row for row in of_family}
    return by_engine.get(engine) or by_engine[ANY]


def _read(name: str) -> tuple[dict[str, str], ...]:
    with (FOLDER / name).open(encoding="utf-8", newline="") as file:
        return tuple(csv.DictReader(file))
