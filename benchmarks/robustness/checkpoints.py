"""Damaged checkpoints, loaded as eval, resume and export would."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

import numpy as np

from ppcls_slim.cli import main

from .child import Ended, in_fork, judge
from .damage import damage
from .outcome import RIGHT, WRONG, Verdict
from .runs import logits_of_checkpoint, logits_of_export, must_end_well, undisturbed
from .target import Target
from .weights import digests, first_difference
from .workload import EPOCHS, SECTIONS, Workload, prefix_of

SCENARIOS = ("dense", "prune", "masked", "quantize", "two_stage")
WAYS = ("eval", "eval", "eval", "resume", "auto", "export")
Result = Union[np.ndarray, Mapping[str, str]]
"""Logits, or digests of everything that a training wrote."""
ROUNDING = 1e-3  # of logits: a network with zeroed filters against the same one without them


@dataclass(frozen=True)
class References:
    """Undamaged runs.

    Attributes:
        finished: scenario -> folder of the whole run.
        stopped: scenario -> folder of a run with one epoch less.
        anew: scenario -> what the whole run wrote: what "auto" may do where the latest checkpoint is missing.
        results: scenario, way -> what comes out of them.
    """

    finished: dict[str, Path]
    stopped: dict[str, Path]
    anew: dict[str, Result]
    results: dict[tuple[str, str], Result]


def make(workload: Workload) -> Callable[[int, Path], tuple[str, Verdict]]:
    """Train every scenario; see :data:`.campaign.KINDS`."""
    references = References({}, {}, {}, {})
    scenarios = workload.among(SCENARIOS)
    for scenario in scenarios:
        references.finished[scenario] = undisturbed(workload, scenario)
        references.stopped[scenario] = undisturbed(workload, scenario, EPOCHS - 1)
        references.anew[scenario] = digests(references.finished[scenario] / "output")
        for way in dict.fromkeys(WAYS):
            references.results[scenario, way] = _undamaged(references, workload, scenario, way)

    def run(seed: int, folder: Path) -> tuple[str, Verdict]:
        rng = random.Random(f"checkpoints:{seed}")
        scenario, way = rng.choice(scenarios), rng.choice(WAYS)
        source = references.finished if way in ("eval", "export") else references.stopped
        shutil.copytree(source[scenario] / "output", folder / "output")
        prefix = prefix_of(folder, "latest")
        name = "best_model" if way in ("resume", "auto") and rng.random() < 0.15 else "latest"
        other = prefix_of(references.finished[scenario], "epoch_1" if source is references.finished else "latest")
        done = damage(rng, Target(prefix_of(folder, name), other, folder / "executed"))
        config = scenario
        if way in ("eval", "export") and rng.random() < 0.15:
            config = rng.choice(list(SECTIONS))
        before = digests(folder / "output")
        ended, found = _load(workload, folder, config, way, prefix)
        verdict = judge(ended, folder / "executed")
        if verdict.result == RIGHT and not done.forged:
            rounded = done.missing or config != scenario
            if way == "auto" and isinstance(found, Mapping):
                found = _with_what_was_left_alone(references, scenario, before, found)
            wrong = _difference(references.results[scenario, way], found, ROUNDING if rounded else 0.0)
            begun_anew = way == "auto" and done.missing and found == references.anew[scenario]
            verdict = Verdict(WRONG, wrong) if wrong and not begun_anew else verdict
        return f"{way} of {scenario}{'' if config == scenario else f' as {config}'}, {name}: {done.what}", verdict

    return run


def _with_what_was_left_alone(
    references: References, scenario: str, before: Mapping[str, str], found: Mapping[str, str]
) -> Mapping[str, str]:
    """Files that the undamaged run leaves as they are count as undamaged: whoever opens them next is told."""
    original, expected = digests(references.stopped[scenario] / "output"), references.results[scenario, "auto"]
    undamaged = expected if isinstance(expected, Mapping) else {}
    kept = {name: one for name, one in original.items() if undamaged.get(name) == one}
    return {**found, **{name: one for name, one in kept.items() if found.get(name) == before.get(name)}}


def _undamaged(references: References, workload: Workload, scenario: str, way: str) -> Result:
    folder = workload.folder / f"{scenario}-{way}"
    shutil.rmtree(folder, ignore_errors=True)
    source = references.finished if way in ("eval", "export") else references.stopped
    shutil.copytree(source[scenario] / "output", folder / "output")
    ended, result = _load(workload, folder, scenario, way, prefix_of(folder, "latest"))
    must_end_well(ended)
    if result is None:
        raise RuntimeError(f"{way} of {scenario} has no result")
    return result


def _load(workload: Workload, folder: Path, scenario: str, way: str, prefix: Path) -> tuple[Ended, Optional[Result]]:
    """Load ``<folder>/output/.../latest`` in one of ``WAYS``; return what came out of it, if it ended well."""
    file, where = workload.write(scenario, folder), folder / "logits.npy"
    model = ["-c", str(file), "-o", f"Global.pretrained_model={prefix}"]
    if way == "eval":
        return in_fork(lambda: logits_of_checkpoint(model, where), folder), _logits(where)
    if way == "export":
        ended = in_fork(lambda: main(["export", *model]), folder)
        if ended.status == 0:
            in_fork(lambda: logits_of_export(folder / "inference", where), folder)
        return ended, _logits(where)
    checkpoint, output = "auto", folder / "output"
    if way == "resume":
        checkpoint, output = str(prefix), folder / "other"
    resumed = ["-o", f"Global.checkpoints={checkpoint}", "-o", f"Global.output_dir={output}"]
    ended = in_fork(lambda: main(["train", "-c", str(file), *resumed]), folder)
    return ended, digests(output) if ended.status == 0 else None


def _logits(where: Path) -> Optional[np.ndarray]:
    return np.load(where) if where.is_file() else None


def _difference(expected: Result, found: Optional[Result], tolerance: float) -> Optional[str]:
    if isinstance(expected, np.ndarray):
        if not isinstance(found, np.ndarray) or found.shape != expected.shape:
            return "there are no logits"
        largest = float(np.abs(found - expected).max())
        return None if largest <= tolerance else f"logits differ by {largest:g}"
    return first_difference(expected, found if isinstance(found, Mapping) else {})
