"""Run a command in a forked child, which has imported everything already, and see how it ends.

Importing Paddle takes seconds; a fork takes a hundredth of one. The parent must not have computed anything with
Paddle: its thread pools do not survive a fork.
"""

from __future__ import annotations

import os
import re
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Optional, Union

from .outcome import EXECUTED, HANG, REFUSED, RIGHT, TRACEBACK, Verdict

MEMORY = 12 << 30  # bytes of address space: an absurd size fails instead of taking the machine with it
LIMIT = 300.0  # seconds; a case takes two on an idle machine, and this one may be busy
STOPPED = (130, 143)  # exit statuses after SIGINT and SIGTERM
_ERROR = "ppcls_slim: error: "


@dataclass(frozen=True)
class Stop:
    """A signal from outside.

    Attributes:
        after: seconds.
        signal: ``SIGKILL`` or ``SIGTERM``.
    """

    after: float
    signal: signal.Signals


@dataclass(frozen=True)
class Ended:
    """How a process ended.

    Attributes:
        status: exit status; negative: the signal that ended it; None: it was still running at the limit.
        text: standard output and standard error.
        seconds: that it took.
    """

    status: Optional[int]
    text: str
    seconds: float


@dataclass(frozen=True)
class Running:
    """A child that was started.

    Attributes:
        process: its number.
        reading: file descriptor that its output comes from.
    """

    process: int
    reading: int


def start(run: Callable[[], Optional[int]], folder: Path) -> Running:
    """Start a function in a forked child.

    Args:
        run: returns the exit status.
        folder: working directory of the child.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _be_child(run, folder, writing)
    os.close(writing)
    return Running(child, reading)


def in_fork(run: Callable[[], Optional[int]], folder: Path, stop: Optional[Stop] = None) -> Ended:
    """Run a function in a forked child, as :func:`start`, and wait for its end.

    Args:
        run: returns the exit status.
        folder: working directory of the child.
        stop: ends it from outside.
    """
    return wait(start(run, folder), stop)


def in_process(command: Sequence[Union[str, Path]], folder: Path, stop: Optional[Stop] = None) -> Ended:
    """Run a command as a user does, in a new interpreter; arguments as of :func:`in_fork`."""
    reading, writing = os.pipe()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(  # waited for below, by its number
        [str(part) for part in command], cwd=folder, stdout=writing, stderr=writing, env=environment
    )
    os.close(writing)
    ended = wait(Running(process.pid, reading), stop)
    process.returncode = 0  # so that Popen does not wait again
    return ended


def judge(ended: Ended, marker: Path) -> Verdict:
    """What is wrong whatever was tried; an exit status of 0 is right until something else is found."""
    if marker.exists():
        return Verdict(EXECUTED, f"{marker.name} was written")
    if ended.status is None:
        return Verdict(HANG, f"{ended.seconds:.0f} s: {last_line(ended.text)}")
    if "Traceback (most recent call last)" in ended.text or "C++ Traceback" in ended.text:
        return Verdict(TRACEBACK, last_line(ended.text))
    if ended.status == 0:
        return Verdict(RIGHT)
    if ended.status == 2:
        return _one_line(ended.text)
    return Verdict(TRACEBACK, f"exit status {ended.status}: {last_line(ended.text)}")


def last_line(text: str) -> str:
    """The last line that says something, shortened."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "(nothing was printed)"


def _one_line(text: str) -> Verdict:
    at = text.rfind(_ERROR)
    if at < 0:
        usage = re.search(r"^\S+( \S+)?: error: .*$", text, re.MULTILINE)  # argparse
        return Verdict(REFUSED, usage[0]) if usage else Verdict(TRACEBACK, f"exit status 2: {last_line(text)}")
    message = text[at + len(_ERROR) :].strip("\n")
    if not message.strip() or "\n" in message:
        return Verdict(TRACEBACK, f"the message is not one line: {message[:200]!r}")
    return Verdict(REFUSED, message[:300])


def _be_child(run: Callable[[], Optional[int]], folder: Path, writing: int) -> None:
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for one in (signal.SIGTERM, signal.SIGALRM):
            signal.signal(one, signal.SIG_DFL)
        os.dup2(writing, 1)
        os.dup2(writing, 2)
        # New ones: the parent's may hold what it has yet to print. By lines, so that an error stays the last of them.
        sys.stdout, sys.stderr = (open(one, "w", 1, closefd=False) for one in (1, 2))  # noqa: SIM115
        os.chdir(folder)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        status = run() or 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 1
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def wait(running: Running, stop: Optional[Stop] = None) -> Ended:
    """Wait for the end of a child; one that is still running after ``LIMIT`` seconds is ended."""
    child, reading = running.process, running.reading
    began, parts, status = time.monotonic(), [b""], None
    stop_at = began + stop.after if stop is not None else float("inf")
    while status is None and time.monotonic() < began + LIMIT:
        if stop is not None and time.monotonic() >= stop_at:
            os.kill(child, stop.signal)
            stop_at = float("inf")
        pause = max(0.0, min(0.2, stop_at - time.monotonic()))
        if select.select([reading], [], [], pause)[0]:
            part = os.read(reading, 1 << 16)
            parts.append(part)
            if part:
                continue
            time.sleep(0.001)  # its end of the pipe is closed: it is about to end
        status = _status(child)
    if status is None:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    os.close(reading)
    return Ended(status, b"".join(parts).decode("utf-8", "replace"), time.monotonic() - began)


def _status(child: int) -> Optional[int]:
    """Exit status of a child that has ended; negative: the signal."""
    ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        return None
    return -os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)
