"""Two trainings into one folder at about the same time."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path

from ppcls_slim.cli import main

from .child import judge, start, wait
from .kills import epochs_saved, resumed, train_on, whole_run
from .outcome import ALLOWED, LOSS, RIGHT, Verdict
from .workload import Workload

SCENARIOS = ("prune", "masked", "two_stage")


def make(workload: Workload) -> Callable[[int, Path], tuple[str, Verdict]]:
    """Run every scenario once undisturbed; see :data:`.campaign.KINDS`."""
    wholes = {scenario: whole_run(workload, scenario) for scenario in workload.among(SCENARIOS)}

    def run(seed: int, folder: Path) -> tuple[str, Verdict]:
        rng = random.Random(f"two_runs:{seed}")
        scenario = rng.choice(list(wholes))
        whole, pause = wholes[scenario], rng.uniform(0.0, wholes[scenario].seconds)
        what = f"{scenario}: the second run {1000 * pause:.0f} ms after the first"
        file = workload.write(scenario, folder)
        first = start(lambda: main(train_on(file)), folder)
        time.sleep(pause)
        ended = [wait(one) for one in (start(lambda: main(train_on(file)), folder), first)]
        verdicts = [judge(one, folder / "executed") for one in ended]
        bad = [verdict for verdict in verdicts if verdict.result not in ALLOWED]
        if bad:
            return what, bad[0]
        if all(verdict.result != RIGHT for verdict in verdicts):
            return what, Verdict(LOSS, f"neither run went on: {verdicts[0].detail}")
        after = resumed(file, folder, whole, min(whole.epochs, sum(epochs_saved(one.text) for one in ended)))
        return what, after if after.result != RIGHT else max(verdicts, key=lambda verdict: verdict.result != RIGHT)

    return run
