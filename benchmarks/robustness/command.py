"""``ppcls-slim robustness``: run the campaign, or repeat one case of it."""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from types import FrameType
from typing import Optional

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before Paddle is imported: threads do not survive a fork

from ppcls_slim.cli import commands  # noqa: F401
from ppcls_slim.common.errors import SlimError, did_you_mean

from .campaign import KINDS, campaign, one_case, prepared
from .outcome import table, write_record
from .workload import SECTIONS


def robustness(arguments: argparse.Namespace) -> bool:
    """What the sub-command does; returns whether nothing was found that must not be.

    Raises:
        SlimError: an argument names no kind of case.
    """
    import_all()
    signal.signal(signal.SIGTERM, _stop)
    _known(arguments.scenario, SECTIONS, "--scenario")
    if arguments.jobs < 1:
        raise SlimError(f"--jobs {arguments.jobs}: give 1 or more")
    work = arguments.work or Path(tempfile.mkdtemp(prefix="robustness-"))
    workload = prepared(work, arguments.scenario)
    if arguments.case:
        kind, seed = _case(arguments.case)
        outcome = one_case(kind, seed, workload)
        print(f"{outcome.what}\n{outcome.result}: {outcome.detail}\nits files are in {work}/{kind}-{seed}")
        return not outcome.is_finding
    counts = _counts(arguments.kinds)
    print(f"seed {arguments.seed}, {arguments.minutes:g} minutes, {arguments.jobs} at a time, in {work}", flush=True)
    began = time.monotonic()
    outcomes = campaign(counts, arguments.seed, 60 * arguments.minutes, arguments.jobs, workload, _say)
    print(table(outcomes))
    write_record(arguments.json, arguments.seed, outcomes, time.monotonic() - began)
    print(f"written to {arguments.json}")
    return not any(one.is_finding for one in outcomes)


def import_all() -> None:
    """Import what the commands import when they run: a case then costs a fork and not seconds."""
    from ppcls_slim.engine import after_training, dry_run, stages  # noqa: F401


def _counts(kinds: Sequence[str]) -> dict[str, int]:
    counts = {}
    for one in kinds or KINDS:
        name, _, count = one.partition("=")
        _known([name], KINDS, "KIND")
        if count and not (count.isdigit() and int(count) > 0):
            raise SlimError(f"{one}: write it as {name}=100")
        counts[name] = int(count) if count else KINDS[name].count
    return counts


def _case(text: str) -> tuple[str, int]:
    kind, _, seed = text.partition(":")
    _known([kind], KINDS, "--case")
    if not seed.isdigit():
        raise SlimError(f"--case {text}: write it as {kind}:12")
    return kind, int(seed)


def _known(names: Sequence[str], known: Collection[str], what: str) -> None:
    for name in names:
        if name not in known:
            raise SlimError(f"{what}: there is no {name}{did_you_mean(name, list(known))}; use {', '.join(known)}")


def _say(line: str) -> None:
    print(line, flush=True)


def _stop(signum: int, frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt
