"""Trainings that are killed at random moments, and resumed with ``Global.checkpoints: auto``."""

from __future__ import annotations

import functools
import random
import re
import shutil
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from ppcls_slim.cli import main

from .child import STOPPED, Ended, Stop, in_fork, in_process, judge, last_line
from .outcome import LOSS, REFUSED, RIGHT, TRACEBACK, WRONG, Verdict
from .runs import must_end_well
from .weights import digests, first_difference
from .workload import ROOT, Workload
from .writes import before_every_write, end_after

SCENARIOS = ("dense", "prune", "masked", "quantize", "two_stage", "masked_two_stage")
SIGNALS = (signal.SIGKILL, signal.SIGTERM)
AS_A_USER = 0.06  # share of the cases that run in new interpreters
MOST_KILLS = 3
AT_A_TIME = 0.3  # share of the kills that are not tied to a write
TRACES = ("Traceback", "FatalError", "Error Message Summary")  # Python's, and Paddle's own
COUNTED = "writes below the output folder: "


@dataclass(frozen=True)
class Whole:
    """A run that was not killed.

    Attributes:
        digests: of all that it wrote.
        writes: how often it changed something below its output folder.
        epochs: of all stages.
        seconds: that it took.
    """

    digests: dict[str, str]
    writes: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Kill:
    """When and how a run is killed.

    Attributes:
        signal: ``SIGKILL`` or ``SIGTERM``.
        write: just before this change below the output folder, counted from 0; None: at a time.
        seconds: after that write, or after the beginning.
    """

    signal: signal.Signals
    write: Optional[int]
    seconds: float

    def __str__(self) -> str:
        where = f"before write {self.write}" if self.write is not None else "after the start"
        return f"{self.signal.name} {1000 * self.seconds:.1f} ms {where}"


def make(workload: Workload) -> Callable[[int, Path], tuple[str, Verdict]]:
    """Run every scenario once undisturbed; see :data:`.campaign.KINDS`."""
    wholes = {scenario: whole_run(workload, scenario) for scenario in workload.among(SCENARIOS)}

    def run(seed: int, folder: Path) -> tuple[str, Verdict]:
        rng = random.Random(f"kills:{seed}")
        scenario, as_a_user = rng.choice(list(wholes)), rng.random() < AS_A_USER
        file, whole = workload.write(scenario, folder), wholes[scenario]
        what, saved = f"{scenario}{' in new interpreters' if as_a_user else ''}: ", 0
        for _ in range(rng.choice([1, 1, 1, 2, MOST_KILLS])):
            kill = _a_kill(rng, whole, _start_up(workload) if as_a_user else 0.0)
            ended = _killed(file, folder, kill, as_a_user)
            what += f"{kill} ({ended.status}); "
            verdict = _after_kill(ended, kill, folder)
            if verdict is not None:
                return what, verdict
            saved += epochs_saved(ended.text)
        return what, resumed(file, folder, whole, saved)

    return run


def resumed(file: Path, folder: Path, whole: Whole, saved: int) -> Verdict:
    """Go on with a run that was stopped, and hold what it has in the end against one that was not.

    Args:
        file: its configuration.
        folder: that it writes into ``output`` of.
        whole: the run that was not stopped.
        saved: epochs that it said it had saved.
    """
    return _after_resuming(in_fork(lambda: main(train_on(file)), folder), whole, folder, saved)


@functools.cache
def _start_up(workload: Workload) -> float:
    """Seconds until a new interpreter has imported everything; measured once in every worker that needs it."""
    program = "from ppcls_slim.engine import stages, after_training"
    ended = in_process([sys.executable, "-c", program], ROOT / "plugin")
    must_end_well(ended)
    return ended.seconds


@functools.cache
def whole_run(workload: Workload, scenario: str) -> Whole:
    """Train a scenario undisturbed."""
    folder = workload.folder / f"{scenario}-whole"
    shutil.rmtree(folder, ignore_errors=True)
    file = workload.write(scenario, folder)
    numbers: list[int] = []

    def counting() -> int:
        before_every_write(folder / "output", numbers.append)
        status = main(train_on(file))
        print(f"{COUNTED}{len(numbers)}")
        return status

    ended = in_fork(counting, folder)
    must_end_well(ended)
    writes = int(ended.text.rpartition(COUNTED)[2])
    return Whole(digests(folder / "output"), writes, epochs_saved(ended.text), ended.seconds)


def train_on(file: Path) -> list[str]:
    """A run that goes on where it was stopped."""
    return ["train", "-c", str(file), "-o", "Global.checkpoints=auto", "-v"]  # its log is read


def _a_kill(rng: random.Random, whole: Whole, start_up: float) -> Kill:
    how = rng.choice(SIGNALS)
    if start_up or rng.random() < AT_A_TIME:
        return Kill(how, None, rng.uniform(0.0, start_up + whole.seconds))
    return Kill(how, rng.randrange(whole.writes), rng.choice([0.0, rng.uniform(0.0, 0.003), rng.uniform(0.0, 0.1)]))


def _killed(file: Path, folder: Path, kill: Kill, as_a_user: bool) -> Ended:
    stop = Stop(kill.seconds, kill.signal) if kill.write is None else None
    if as_a_user:
        return in_process(_as_a_user(file), folder, stop)

    def run() -> int:
        if kill.write is not None:
            at = kill.write
            before_every_write(
                folder / "output", lambda number: end_after(kill.seconds, kill.signal) if number == at else None
            )
        return main(train_on(file))

    return in_fork(run, folder, stop)


def _as_a_user(file: Path) -> list[str]:
    return [sys.executable, str(ROOT / "tools/train.py"), *train_on(file)[1:]]


def _after_kill(ended: Ended, kill: Kill, folder: Path) -> Optional[Verdict]:
    """What is wrong with how it ended; None if nothing is."""
    if ended.status is None:
        return judge(ended, folder / "executed")
    ended_by_it = ended.status in (0, *STOPPED, -kill.signal, -signal.SIGALRM)  # 0: it came too late
    if ended_by_it and not any(words in ended.text for words in TRACES):
        return None
    return Verdict(TRACEBACK, f"after {kill.signal.name}: exit status {ended.status}: {last_line(ended.text)}")


def _after_resuming(ended: Ended, whole: Whole, folder: Path, saved: int) -> Verdict:
    verdict = judge(ended, folder / "executed")
    if verdict.result == REFUSED:  # it could go on, or start anew where nothing was saved
        return Verdict(LOSS, f"cannot be resumed: {verdict.detail}")
    if verdict.result != RIGHT:
        return verdict
    trained = epochs_saved(ended.text)
    if trained + saved > whole.epochs:
        return Verdict(LOSS, f"{saved} of {whole.epochs} epochs were saved, and {trained} were trained again")
    wrong = first_difference(whole.digests, digests(folder / "output"))
    return Verdict(WRONG, wrong) if wrong else verdict


def epochs_saved(text: str) -> int:
    """How many epochs a run said that it had saved."""
    return len(re.findall(r"Already save model in \S*/latest\b", text))
