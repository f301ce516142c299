"""Compare many drawn networks, in a process that may crash, and make smaller what parts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from .draw import Spec, draw

ROOT = Path(__file__).parents[3]
LARGEST_ERROR = {"float": 0.01, "int8, oneDNN": 0.15, "int8": 0.05}
"""Largest relative error of the scores, by how the name of a way begins.

A feature map that is rounded to 8 bits is 1 % off, and what ten layers give about 5; the faults that were found began
at 20. The reference run computes what fake-quant does, in which a value in thousands falls on the other side of a
step."""
SECONDS = 300.0
"""For one network in every way, which takes about ten."""
TOGETHER = 20
"""Networks for one process."""
MUST_WORK = ("train", "quantize", "export float", "export int8")


@dataclass(frozen=True)
class Finding:
    """A network that parts.

    Attributes:
        spec: the network.
        way: how it ran, or what was being done.
        what: what was seen, in one line.
        error: relative error of the scores; infinite for a crash.
    """

    spec: Spec
    way: str
    what: str
    error: float

    def __str__(self) -> str:
        return f"{self.way}: {self.what}: {json.dumps(self.spec)}"


def campaign(seed: int, count: int, seconds: Optional[float] = None) -> list[Finding]:
    """Draw networks and compare them.

    Args:
        seed: draws the same networks again.
        count: how many networks.
        seconds: begin no other network after so long; None for no limit.

    Returns:
        What parted, in the order in which it was found; prints nothing.
    """
    return list(findings(draw(seed, count), seconds))


def findings(specs: Sequence[Spec], seconds: Optional[float] = None, skip: Sequence[str] = ()) -> Iterator[Finding]:
    """Compare these networks; see :func:`campaign`.

    Args:
        specs: the networks.
        seconds: begin no other network after so long; None for no limit.
        skip: ways of running that are left out.
    """
    end = time.monotonic() + (seconds if seconds is not None else float("inf"))
    left: list[dict[str, Any]] = [{"number": i, "spec": spec, "skip": [*skip]} for i, spec in enumerate(specs)]
    while left and time.monotonic() < end:
        with tempfile.TemporaryDirectory() as folder:
            answers, crash = _worker(left[:TOGETHER], Path(folder), end)
        by_number = {task["number"]: task["spec"] for task in left}
        for answer in answers:
            found = _judge(by_number[answer["number"]], answer)
            if found is not None:
                yield found
        finished = {answer["number"] for answer in answers if answer.get("done")}
        left = [task for task in left if task["number"] not in finished]
        begun = [answer for answer in answers if "begun" in answer]
        if not crash:
            continue
        if not begun or begun[-1]["number"] != left[0]["number"]:
            raise RuntimeError(f"the worker stopped before it began a network: {crash}")
        yield Finding(left[0]["spec"], begun[-1]["begun"], crash, float("inf"))
        left[0]["skip"].append(begun[-1]["begun"])
        if begun[-1]["begun"] in MUST_WORK:
            del left[0]


def smaller(finding: Finding) -> Finding:
    """Leave out steps for as long as the network still parts in the same way."""
    found, place = finding, len(finding.spec["steps"]) - 1
    while place >= 0:
        steps = [step for i, step in enumerate(found.spec["steps"]) if i != place]
        again = [one for one in findings([{**found.spec, "steps": steps}]) if one.way == found.way]
        found = again[0] if again else found
        place -= 1
    return found


def _worker(tasks: list[dict[str, Any]], folder: Path, end: float) -> tuple[list[dict[str, Any]], str]:
    """Run a process; return its answers, and what ended it before it was done ("" if nothing did)."""
    todo, said = folder / "tasks", folder / "answers"
    todo.write_text("\n".join(json.dumps(task) for task in tasks), encoding="utf-8")
    said.touch()
    command = [sys.executable, "-m", "benchmarks.robustness.int8_networks.worker", str(todo), str(said)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    with (folder / "errors").open("wb") as errors:
        process = subprocess.Popen(command, cwd=ROOT, stdout=errors, stderr=errors, env=environment)
        crash = _watch(process, said, end)
    answers = [json.loads(line) for line in said.read_text(encoding="utf-8").splitlines()]
    if crash.startswith("exit") and not answers:
        crash += ": " + (folder / "errors").read_text(errors="replace")[-500:]
    return answers, crash


def _watch(process: subprocess.Popen[bytes], said: Path, end: float) -> str:
    """Wait for a process; end it where it says nothing for long, or when time is up."""
    while True:
        try:
            code = process.wait(timeout=1)
            return "" if code == 0 else f"signal {-code}" if code < 0 else f"exit code {code}"
        except subprocess.TimeoutExpired:
            late = time.time() - said.stat().st_mtime > SECONDS
            if late or time.monotonic() > end:
                process.kill()
                process.wait()
                return f"nothing for {SECONDS:.0f} s" if late else ""


def _judge(spec: Spec, answer: dict[str, Any]) -> Optional[Finding]:
    if "raised" in answer:
        return Finding(spec, "raised", answer["raised"].strip().splitlines()[-1], float("inf"))
    if "way" not in answer:
        return None
    largest = next(limit for name, limit in LARGEST_ERROR.items() if answer["way"].startswith(name))
    if answer["error"] <= largest:
        return None
    what = (
        f"scores wrong by {answer['error']:.2f}, {100 * answer['same']:.0f} % of top-1 predictions as trained, "
        f"top-1 {100 * answer['top1']:.1f} % for {100 * answer['expected']:.1f}"
    )
    return Finding(spec, answer["way"], what, answer["error"])
