"""Many jobs, each in a process of its own: started, timed, ended with everything they started, written down."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmarks.backbones.families import Backbone
from benchmarks.backbones.rows import FAILED, OFFLINE, OK, REFUSED, TIMEOUT, Row, read, write
from ppcls_slim.common.errors import SlimError

GRACE = 5.0
"""Seconds that a process has to end after it has answered; then it is ended."""

_OFFLINE_SIGNS = ("ownload", "urlopen", "Connection", "resolve", "Max retries")


def code_digest() -> str:
    """Twelve digits that change with any source file of the plugin."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for path in sorted([*root.glob("plugin/ppcls_slim/**/*.py"), *root.glob("benchmarks/backbones/*.py")]):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def run_matrix(
    rows: Sequence[Row],
    table: Path,
    work: Path,
    limit: float,
    jobs: int,
    say: Callable[[str], None],
    finished: Callable[[Row, Row], bool],
) -> list[Row]:
    """Run what is not in the table yet, and write the table after every row.

    Args:
        rows: what to run: backbone, job and versions are filled in.
        table: CSV; other rows in it stay.
        work: folder for everything that the jobs write; a job's part is removed when it succeeds.
        limit: seconds for one job.
        jobs: how many run side by side.
        say: gets a line for every row.
        finished: whether an old row (second) makes a row (first) unnecessary.

    Returns:
        All rows of the table.
    """
    known = {row.key: row for row in read(table)}
    waiting = [row for row in rows if row.key not in known or not finished(row, known[row.key])]
    if len(waiting) < len(rows):
        say(f"{len(rows) - len(waiting)} of {len(rows)} are in {table} already")
    live: list[_Process] = []
    number = len(rows) - len(waiting)
    try:
        while waiting or live:
            while waiting and len(live) < jobs:
                live.append(_Process(waiting.pop(0), work, limit))
            for done in _ended(live):
                live.remove(done)
                number += 1
                known[done.row.key] = done.row
                write(table, known.values())
                say(f"{number}/{len(rows)} {_said(done.row)}")
    finally:
        for process in live:
            process.end()
    return list(known.values())


def survey(count: bool) -> tuple[str, list[Backbone]]:
    """Paddle's version and all backbones, from a process that has both loaded.

    Args:
        count: also how many parameters they have.

    Raises:
        SlimError: they cannot be loaded.
    """
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = _context().Process(target=_survey, args=(theirs, count), daemon=True)
    try:
        process.start()
        theirs.close()
        found = ours.recv()
    except EOFError:
        raise SlimError("coverage: the process that reads PaddleClas's backbones died; its output is above") from None
    process.join(GRACE)
    if isinstance(found, SlimError):
        raise found
    return found


def _context() -> Any:
    """A server that imports Paddle and PaddleClas once (10 s) and is copied for every job."""
    # The server does not take over sys.path before it imports.
    root = Path(__file__).resolve().parents[2]
    path = [str(root / "plugin"), str(root), os.environ.get("PYTHONPATH", "")]
    if not path[2].startswith(path[0]):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["benchmarks.backbones.jobs"])
    return context


def _survey(pipe: Connection, count: bool) -> None:
    try:
        from benchmarks.backbones.constructors import survey

        pipe.send(survey(count))
    except SlimError as error:
        pipe.send(error)


@dataclass
class _Process:
    """A job on its way."""

    row: Row
    work: Path
    limit: float
    process: Any = None
    pipe: Any = None
    start: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        self.row = replace(self.row)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pipe, theirs = multiprocessing.Pipe(duplex=False)
        self.process = _context().Process(target=_work, args=(theirs, self.row, self.work, self.log), daemon=True)
        self.process.start()
        theirs.close()

    @property
    def folder(self) -> Path:
        return self.work / f"{self.row.backbone}-{self.row.job}"

    @property
    def log(self) -> Path:
        return self.folder / "log.txt"

    def left(self) -> float:
        """Seconds until the limit."""
        return self.limit - (time.monotonic() - self.start)

    def take(self) -> bool:
        """Read what the process says; return whether the job is over."""
        try:
            while self.pipe.poll():
                said = self.pipe.recv()
                if isinstance(said, Row):
                    self.row = said
                    self.end(GRACE)
                    return True
                self.row.stage = said
        except EOFError:
            self.end(GRACE)
            self.row.result, self.row.error = FAILED, f"the process died ({self._why()}); see {self.log.name}"
            self.row.seconds = time.monotonic() - self.start
            return True
        if self.left() > 0:
            return False
        self.end()
        self.row.result, self.row.error = TIMEOUT, f"not done after {self.limit:g} s"
        self.row.seconds = time.monotonic() - self.start
        return True

    def end(self, grace: float = 0.0) -> None:
        """End the process and whatever it started; some do not end by themselves, nor on SIGTERM."""
        self.process.join(grace)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join(GRACE)
        if self.row.result == OK:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _why(self) -> str:
        code = self.process.exitcode
        return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"status {code}"


def _ended(live: Sequence[_Process]) -> list[_Process]:
    wait([process.pipe for process in live], timeout=max(0.0, min(process.left() for process in live)))
    return [process for process in live if process.take()]


def _said(row: Row) -> str:
    parts = [f"{row.backbone} {row.job}: {row.result}"]
    if row.flops_removed is not None:
        parts.append(f"{100 * row.flops_removed:.1f} % of the FLOPs")
    if row.seconds is not None:
        parts.append(f"{row.seconds:.0f} s")
    if row.error:
        parts.append(f"[{row.stage}] {row.error}")
    return ", ".join(parts)


def _work(pipe: Connection, row: Row, work: Path, log: Path) -> None:
    """Body of a process: one job, its output in a file, its answer down the pipe."""
    os.setsid()
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from benchmarks.backbones.jobs import run

    def stage(name: str) -> None:
        row.stage = name
        print(f"== {name}", flush=True)
        pipe.send(name)

    try:
        run(row, work, stage)
        row.result, row.stage = OK, ""
    except Exception as error:  # whatever the model's code raises: it is the answer
        import traceback

        traceback.print_exc()
        row.error = " ".join(f"{type(error).__name__}: {error}".split())[:300]
        row.result = REFUSED if isinstance(error, SlimError) and row.stage == "analysis" else FAILED
        if any(sign in row.error for sign in _OFFLINE_SIGNS):
            row.result = OFFLINE
        if isinstance(error, SlimError):
            row.error = str(error)[:300]
    sys.stdout.flush()
    pipe.send(row)
