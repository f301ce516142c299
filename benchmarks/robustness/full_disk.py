"""Trainings that cannot write more than a number of bytes into a file, as on a disk that is full."""

from __future__ import annotations

import random
import resource
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ppcls_slim.cli import main
from ppcls_slim.compat.patching import replaced
from ppcls_slim.engine.hooks import Seeding

from .child import in_fork, judge
from .kills import epochs_saved, resumed, train_on, whole_run
from .outcome import REFUSED, RIGHT, Verdict
from .workload import Workload

SCENARIOS = ("dense", "prune", "masked", "quantize", "two_stage")
LARGEST = 400_000  # bytes; the largest file of a checkpoint has about 320,000


def make(workload: Workload) -> Callable[[int, Path], tuple[str, Verdict]]:
    """Run every scenario once undisturbed; see :data:`.campaign.KINDS`."""
    wholes = {scenario: whole_run(workload, scenario) for scenario in workload.among(SCENARIOS)}

    def run(seed: int, folder: Path) -> tuple[str, Verdict]:
        rng = random.Random(f"full_disk:{seed}")
        scenario, epochs = rng.choice(list(wholes)), rng.choice([0, 1])
        limit = int(LARGEST * rng.random() ** 2)
        what = f"{scenario}: files of at most {limit} bytes from epoch {epochs + 1} on"
        file = workload.write(scenario, folder)
        ended = in_fork(lambda: _limited(train_on(file), limit, epochs), folder)
        verdict = judge(ended, folder / "executed")
        if verdict.result not in (RIGHT, REFUSED):
            return what, verdict
        after = resumed(file, folder, wholes[scenario], epochs_saved(ended.text))
        return what, verdict if after.result == RIGHT else after

    return run


def _limited(arguments: list[str], limit: int, epochs: int) -> int:
    before = Seeding.before_epoch

    def before_epoch(hook: Seeding, model: Any, epoch: int) -> None:
        if epoch > epochs:
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        before(hook, model, epoch)

    with replaced(Seeding, before_epoch=before_epoch):
        return main(arguments)
