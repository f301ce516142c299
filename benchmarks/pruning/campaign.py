"""The equivalence check on many drawn networks, in float64: ``python -m benchmarks.pruning.campaign --seconds 600``.

Whatever is drawn, the analysis must not stop, every convolution is in a group or has a reason, and the network
without some channels is the network in which they are masked, to 1e-10 of its largest output.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np

if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).resolve().parents[2]), str(Path(__file__).resolve().parents[2] / "plugin")]

from benchmarks.pruning.networks import NAMES, Drawn, Plan
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.prune.dependency import analyse
from ppcls_slim.prune.dependency.groups import Grouping
from ppcls_slim.prune.dependency.modes import record_modes
from ppcls_slim.prune.planned import check_planned
from ppcls_slim.prune.slices import plan_slices
from ppcls_slim.verify.equivalence import Removal, check_equivalence, some_channels

BRANCHES = "branches"
"""The step whose code decides by how many channels there are: only there may a plan be refused."""
TOLERANCE = 1e-10
SIZE = 6


@dataclass
class Report:
    """What a campaign found.

    Attributes:
        networks: how many were tried.
        pruned: in how many of them something could be removed.
        refused: plans that were refused, because the code does something else for just these channels.
        largest_error: of those that passed.
        faults: (shortest steps that show it, what was seen).
    """

    networks: int = 0
    pruned: int = 0
    refused: int = 0
    largest_error: float = 0.0
    faults: list[tuple[list[tuple[str, int]], str]] = field(default_factory=list)


class Outcome(NamedTuple):
    """What became of one network: what is wrong, the error of what was removed, how many plans were refused."""

    fault: str = ""
    error: Optional[float] = None
    refused: int = 0


def campaign(seed: int, count: int, seconds: float) -> Report:
    """Try networks until there were so many, or the time is over.

    Args:
        seed: of the first network; the next one has the next seed.
        count: networks.
        seconds: no network is started after that.
    """
    report, end = Report(), time.monotonic() + seconds
    with double_precision():
        for number in range(seed, seed + count):
            if time.monotonic() > end:
                break
            plan = draw(number)
            report.networks += 1
            outcome = tried(plan, number)
            report.refused += outcome.refused
            if outcome.fault:
                shortest = _shortest(plan, number)
                report.faults.append((shortest, tried(shortest, number).fault))
                print(f"seed {number}: {report.faults[-1]}", flush=True)
            elif outcome.error is not None:
                report.pruned += 1
                report.largest_error = max(report.largest_error, outcome.error)
    return report


def draw(seed: int) -> list[tuple[str, int]]:
    """Draw one to ten steps."""
    random = np.random.default_rng(seed)
    return [(str(random.choice(NAMES)), int(random.integers(24))) for _ in range(random.integers(1, 11))]


def tried(plan: Plan, seed: int) -> Outcome:
    """Build a network, analyse it, and remove some channels.

    Args:
        plan: steps of the network.
        seed: of its weights and of the channels.
    """
    error, refused = None, 0
    try:
        paddle.seed(seed)
        model = Drawn(plan)
        images = np.random.default_rng(seed).normal(size=(2, 3, SIZE, SIZE))
        grouping = analyse(model, [3, SIZE, SIZE], "float64")
        missing = _without_answer(model, grouping)
        if missing:
            return Outcome(f"{missing} is in no group and has no reason")
        for ratio in (0.3, 0.6) if grouping.groups else ():
            removal = some_channels(grouping, ratio, seed)
            if BRANCHES in dict(model.plan) and _is_refused(model, grouping, removal):
                refused += 1
                continue
            error = max(error or 0.0, check_equivalence(model, grouping, removal, images).error)
    except Exception as fault:  # whatever it raises is what is looked for
        return Outcome(f"{type(fault).__name__}: {str(fault).strip()[:200]}")
    fault = f"differs by {error:.1e}" if error is not None and not error <= TOLERANCE else ""
    return Outcome(fault, error, refused)


def _is_refused(model: Drawn, grouping: Grouping, removal: Removal) -> bool:
    kept = [~np.isin(np.arange(group.prunable_channels), gone) for group, gone in zip(grouping.groups, removal)]
    programs, _ = record_modes(model, [3, SIZE, SIZE], "float64")
    try:
        check_planned(model, [3, SIZE, SIZE], "float64", programs, plan_slices(model, grouping.groups, kept))
    except SlimError:
        return True
    return False


def _without_answer(model: Drawn, grouping: Grouping) -> str:
    pruned = {member.param for group in grouping.groups for member in group.members if member.produces}
    for name, layer in model.named_sublayers():
        if isinstance(layer, paddle.nn.Conv2D) and f"{name}.weight" not in pruned and name not in grouping.frozen:
            return str(name)
    return ""


def _shortest(plan: list[tuple[str, int]], seed: int) -> list[tuple[str, int]]:
    """Leave out steps as long as something is still wrong."""
    for place in reversed(range(len(plan))):
        shorter = plan[:place] + plan[place + 1 :]
        if tried(shorter, seed).fault:
            plan = shorter
    return plan


@contextmanager
def double_precision() -> Iterator[None]:
    """Make layers of float64 for the length of a ``with`` block."""
    before = paddle.get_default_dtype()
    paddle.set_default_dtype("float64")
    try:
        yield
    finally:
        paddle.set_default_dtype(before)


def main() -> int:
    """Run a campaign from the command line; the exit status is the number of faults, 100 at most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--count", type=int, default=10**9)
    parser.add_argument("--seconds", type=float, default=60.0)
    asked = parser.parse_args()
    report = campaign(asked.seed, asked.count, asked.seconds)
    print(
        f"{report.networks} networks from seed {asked.seed}, {report.pruned} of them pruned, largest error "
        f"{report.largest_error:.1e}, {report.refused} plans refused, {len(report.faults)} faults"
    )
    return min(len(report.faults), 100)


if __name__ == "__main__":
    sys.exit(main())
