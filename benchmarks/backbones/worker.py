"""One job in a process of its own: started, timed, and ended with everything that it started."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

from benchmarks.backbones.rows import FAILED, OFFLINE, OK, REFUSED, TIMEOUT, MatrixRow
from ppcls_slim.common.errors import SlimError

GRACE = 5.0
"""Seconds that a process has to end after it has answered; then it is killed."""

_OFFLINE_SIGNS = ("ownload", "urlopen", "Connection", "resolve", "Max retries")


def context() -> Any:
    """A server that imports Paddle and PaddleClas once (10 s) and is copied for every job."""
    # The server does not take over sys.path before it imports.
    root = Path(__file__).resolve().parents[2]
    path = [str(root / "plugin"), str(root), os.environ.get("PYTHONPATH", "")]
    if not path[2].startswith(path[0]):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, path))
    server = multiprocessing.get_context("forkserver")
    server.set_forkserver_preload(["benchmarks.backbones.jobs"])
    return server


class JobProcess:
    """A job that is running.

    Args:
        row: names the backbone and the job; a copy of it becomes :attr:`row`, which gets what is found.
        work: folder for everything that jobs write.
        limit: seconds.
    """

    def __init__(self, row: MatrixRow, work: Path, limit: float):
        self.row = replace(row)
        self.limit = limit
        self.start = time.monotonic()
        self.folder = work / f"{row.backbone}-{row.job}"
        self.log = self.folder / "log.txt"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.pipe, theirs = multiprocessing.Pipe(duplex=False)
        self.process = context().Process(target=work_on, args=(theirs, self.row, work, self.log), daemon=True)
        self.process.start()
        theirs.close()

    def seconds_left(self) -> float:
        """Seconds until the limit."""
        return self.limit - (time.monotonic() - self.start)

    def is_over(self) -> bool:
        """Read what the process has sent; end it if it has answered, died or used up its time."""
        try:
            while self.pipe.poll():
                received = self.pipe.recv()
                if isinstance(received, MatrixRow):
                    self.row = received
                    self.end(GRACE)
                    return True
                self.row.stage = received
        except EOFError:
            self.end(GRACE)
            return self._give_up(FAILED, f"the process died ({self._exit_reason()}); see {self.log.name}")
        if self.seconds_left() > 0:
            return False
        self.end()
        return self._give_up(TIMEOUT, f"not done after {self.limit:g} s")

    def end(self, grace: float = 0.0) -> None:
        """End the process and whatever it started; some do not end by themselves, nor on SIGTERM."""
        self.process.join(grace)
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join(GRACE)
        if self.row.result == OK:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _give_up(self, result: str, error: str) -> bool:
        self.row.result, self.row.error = result, error
        self.row.seconds = time.monotonic() - self.start
        return True

    def _exit_reason(self) -> str:
        code = self.process.exitcode
        return f"signal {signal.Signals(-code).name}" if code is not None and code < 0 else f"status {code}"


def wait_for_any(running: Sequence[JobProcess]) -> list[JobProcess]:
    """Wait until a process sends something or runs out of time; return those that are over."""
    patience = min(process.seconds_left() for process in running)
    wait([process.pipe for process in running], timeout=max(0.0, patience))
    return [process for process in running if process.is_over()]


def work_on(pipe: Connection, row: MatrixRow, work: Path, log: Path) -> None:
    """Body of a process: one job, its output in a file, its answer down the pipe."""
    os.setsid()
    with log.open("w") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    from benchmarks.backbones.jobs import run  # imports Paddle and PaddleClas, which only this process needs

    def stage(name: str) -> None:
        row.stage = name
        print(f"== {name}", flush=True)
        pipe.send(name)

    try:
        run(row, work, stage)
        row.result, row.stage = OK, ""
    except Exception as error:  # whatever the model's code raises: it is the answer
        traceback.print_exc()
        row.result, row.error = _verdict(error, row.stage)
    sys.stdout.flush()
    pipe.send(row)


def _verdict(error: Exception, stage: str) -> tuple[str, str]:
    """Result and message of a job that raised."""
    text = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    refused = isinstance(error, SlimError) and stage == "analysis"
    result = OFFLINE if any(sign in text for sign in _OFFLINE_SIGNS) else REFUSED if refused else FAILED
    return result, str(error)[:300] if isinstance(error, SlimError) else text
