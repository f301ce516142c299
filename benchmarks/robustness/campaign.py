"""Run cases of several kinds, some at a time, within a number of minutes."""

from __future__ import annotations

import functools
import multiprocessing
import shutil
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional

from . import checkpoints, configurations, full_disk, kills, two_runs
from .child import in_fork
from .outcome import TRACEBACK, Outcome, Verdict
from .workload import Workload

Try = Callable[[int, Path], tuple[str, Verdict]]
"""Runs the case of a seed in an empty folder; returns what it did, and how it ended."""
EVERY = 10.0  # seconds between lines of progress


@dataclass(frozen=True)
class Kind:
    """A kind of case.

    Attributes:
        count: how many, unless the command says otherwise.
        share: of the minutes.
        make: prepares what all cases need; called once, before the first of them.
    """

    count: int
    share: float
    make: Callable[[Workload], Try]


KINDS = {
    "configurations": Kind(10_000, 0.4, configurations.make),
    "checkpoints": Kind(2_000, 0.35, checkpoints.make),
    "kills": Kind(200, 0.2, kills.make),
    "two_runs": Kind(20, 0.03, two_runs.make),
    "full_disk": Kind(20, 0.02, full_disk.make),
}
_tries: dict[str, Try] = {}  # of this process and its forks


def campaign(
    counts: Mapping[str, int], seed: int, seconds: float, jobs: int, workload: Workload, say: Callable[[str], None]
) -> list[Outcome]:
    """Run cases; return how each of them ended.

    Args:
        counts: kind -> how many cases.
        seed: of the campaign; the cases have ``1_000_000 * seed`` and those after it.
        seconds: after which no further case is begun; a kind has its share of them.
        jobs: cases at a time.
        workload: prepared.
        say: prints a line.
    """
    outcomes: list[Outcome] = []
    shares = sum(KINDS[kind].share for kind in counts)
    for kind, count in counts.items():
        end = time.monotonic() + seconds * KINDS[kind].share / shares
        _tries[kind] = KINDS[kind].make(workload)
        seeds = range(1_000_000 * seed, 1_000_000 * seed + count)
        outcomes += _of_kind(kind, seeds, end, jobs, workload, say)
    return outcomes


def one_case(kind: str, seed: int, workload: Workload) -> Outcome:
    """Repeat one case, whose folder stays."""
    _tries[kind] = KINDS[kind].make(workload)
    return _outcome(kind, seed, workload, keep=True)


def prepared(work: Path, only: Sequence[str]) -> Workload:
    """Write the data, in a child: scikit-learn starts threads, and a process with threads must not fork."""
    workload = Workload(work.resolve() / "workload", tuple(only))
    workload.folder.mkdir(parents=True, exist_ok=True)
    ended = in_fork(workload.prepare, workload.folder)
    if ended.status != 0:
        raise RuntimeError(ended.text)
    return workload


def _of_kind(
    kind: str, seeds: Sequence[int], end: float, jobs: int, workload: Workload, say: Callable[[str], None]
) -> list[Outcome]:
    outcomes: list[Outcome] = []
    began = told = time.monotonic()
    run = functools.partial(_until, kind, end, workload)
    with multiprocessing.get_context("fork").Pool(jobs, _be_worker) as pool:
        for outcome in pool.imap_unordered(run, seeds):
            if outcome is None:
                continue
            outcomes.append(outcome)
            if outcome.is_finding:
                say(f"{outcome.result}: {outcome.repeat}: {outcome.what}: {outcome.detail}")
            if time.monotonic() > told + EVERY:
                told = time.monotonic()
                say(_progress(kind, outcomes, len(seeds), told - began))
    say(_progress(kind, outcomes, len(seeds), time.monotonic() - began))
    return sorted(outcomes, key=lambda one: one.seed)


def _be_worker() -> None:
    """A worker that is told to end does so, without a word."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _progress(kind: str, outcomes: Sequence[Outcome], count: int, seconds: float) -> str:
    counts = Counter(one.result for one in outcomes)
    parts = ", ".join(f"{number} {result}" for result, number in counts.most_common())
    return f"{kind}: {len(outcomes)} of {count} in {seconds:.0f} s: {parts}"


def _until(kind: str, end: float, workload: Workload, seed: int) -> Optional[Outcome]:
    """In a worker: run a case, unless time is over."""
    return _outcome(kind, seed, workload, keep=False) if time.monotonic() < end else None


def _outcome(kind: str, seed: int, workload: Workload, keep: bool) -> Outcome:
    folder = workload.folder.with_name(f"{kind}-{seed}")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        what, verdict = _tries[kind](seed, folder)
    except Exception:  # an hour's work is not lost for a fault of the campaign's own
        what, verdict = "the campaign itself failed", Verdict(TRACEBACK, traceback.format_exc())
    finally:
        if not keep:
            shutil.rmtree(folder, ignore_errors=True)
    only = "".join(f" --scenario {scenario}" for scenario in workload.only)
    repeat = f"python tools/robustness.py --case {kind}:{seed}{only}"
    return Outcome(kind, seed, what, verdict.result, verdict.detail, repeat)
