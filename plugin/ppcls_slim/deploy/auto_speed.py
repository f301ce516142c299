"""``Slim.quant.skip: auto-speed``: find by measuring which layers are no faster in int8 in an engine.

Layers of one role (``blocks.*.conv1``) are tried together: whether int8 pays depends on what stands between layers
(how often feature maps are requantized), which measuring a layer alone does not show.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
from rich.progress import track

from ..common.errors import SlimError
from ..compat.paddleclas.logger import say
from .job import ExportJob
from .layer_names import layers_of_weights
from .paddle_inference import write_sidecar
from .target import Runner, Target
from .timing import latencies

RUNS = 25
GAIN = 1.02
"""A role stays float if the whole network gets so much faster; less is noise."""


def slow_in_int8(target: Target, job: ExportJob) -> dict[str, str]:
    """Find the layers that had better stay float.

    Every role is left float in a copy of the network, which is timed against int8 in turns, batch 1, one thread. Then
    the roles that gained are left float together, the best first, each only if it still gains.

    Args:
        target: what the model is exported for.
        job: of a quantized model.

    Returns:
        Layer -> name of its weight in the program.

    Raises:
        SlimError: the engine cannot run the model.
    """
    if job.quant is None:
        return {}
    weights = {layer: weight for weight, layer in layers_of_weights(job.model).items() if layer in job.quant.layers}
    roles = _roles(list(weights))
    if len(roles) < 2:
        return {}
    with tempfile.TemporaryDirectory() as scratch:
        trial = _Trial(target, job, Path(scratch), weights)
        found = _search(trial, roles)
    for role in found:
        say(f"ppcls_slim: auto-speed: {role} stays float in {target.engine} ({len(roles[role])} layers)")
    return {layer: weights[layer] for role in found for layer in roles[role]}


class _Trial:
    """The network with some layers in float, in the engine."""

    def __init__(self, target: Target, job: ExportJob, scratch: Path, weights: Mapping[str, str]):
        self.target, self.job, self.scratch, self.weights = target, job, scratch, weights
        self.image = np.random.default_rng(0).standard_normal([1, *job.input_shape]).astype(np.float32)
        self.count = 0

    def build(self, layers: Sequence[str]) -> Runner:
        """Write and load it."""
        self.count += 1
        folder = self.scratch / str(self.count)
        folder.mkdir()
        left = {layer: self.weights[layer] for layer in layers}
        write_sidecar(folder, self.job.sidecar({}))
        self.target.write(replace(self.job, folder=folder, left_float=left), folder)
        return self.target.load(folder, self.job.device, precision="int8")

    def gain(self, run: Runner, over: Runner) -> float:
        """Latency of ``over`` / of ``run``, measured in turns."""
        after, before = latencies([partial(run, self.image), partial(over, self.image)], RUNS)
        return before / after


def _search(trial: _Trial, roles: Mapping[str, Sequence[str]]) -> list[str]:
    best, chosen = trial.build([]), list[str]()
    gains = {}
    for role, layers in track(roles.items(), f"auto-speed, {trial.target.engine}", transient=True):
        try:
            gains[role] = trial.gain(trial.build(layers), best)
        except SlimError:  # nothing is left in int8, or the engine does not take this mixture
            continue
    for role in sorted((role for role, gain in gains.items() if gain >= GAIN), key=lambda role: -gains[role]):
        together = trial.build([layer for one in [*chosen, role] for layer in roles[one]])
        if trial.gain(together, best) >= GAIN:
            best = together
            chosen.append(role)
    return chosen


def _roles(layers: Sequence[str]) -> dict[str, list[str]]:
    """Group names that differ in numbers only."""
    found: dict[str, list[str]] = {}
    for name in layers:
        found.setdefault(role_of(name), []).append(name)
    return found


def role_of(layer: str) -> str:
    """``blocks.3.se.conv1`` -> ``blocks.*.se.conv*``."""
    return re.sub(r"\d+", "*", layer)
