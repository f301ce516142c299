"""Many jobs side by side, and the table that is written after each."""

from __future__ import annotations

import hashlib
import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from benchmarks.backbones import worker
from benchmarks.backbones.families import Backbone
from benchmarks.backbones.rows import MatrixRow, read, write
from ppcls_slim.common.errors import SlimError


def code_digest() -> str:
    """Twelve digits that change with any source file of the plugin."""
    root = Path(__file__).resolve().parents[2]
    digest = hashlib.sha256()
    for path in sorted([*root.glob("plugin/ppcls_slim/**/*.py"), *root.glob("benchmarks/backbones/*.py")]):
        digest.update(path.relative_to(root).as_posix().encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:12]


def run_matrix(
    rows: Sequence[MatrixRow],
    table: Path,
    work: Path,
    limit: float,
    jobs: int,
    say: Callable[[str], None],
    finished: Callable[[MatrixRow, MatrixRow], bool],
) -> list[MatrixRow]:
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
    running: list[worker.JobProcess] = []
    number = len(rows) - len(waiting)
    try:
        while waiting or running:
            while waiting and len(running) < jobs:
                running.append(worker.JobProcess(waiting.pop(0), work, limit))
            for done in worker.wait_for_any(running):
                running.remove(done)
                number += 1
                known[done.row.key] = done.row
                write(table, known.values())
                say(f"{number}/{len(rows)} {_line(done.row)}")
    finally:
        for process in running:
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
    process = worker.context().Process(target=_survey, args=(theirs, count), daemon=True)
    try:
        process.start()
        theirs.close()
        found = ours.recv()
    except EOFError:
        raise SlimError("coverage: the process that reads PaddleClas's backbones died; its output is above") from None
    process.join(worker.GRACE)
    if isinstance(found, SlimError):
        raise found
    return found


def _survey(pipe: Connection, count: bool) -> None:
    try:
        from benchmarks.backbones.constructors import survey  # imports Paddle, which only this process needs

        pipe.send(survey(count))
    except SlimError as error:
        pipe.send(error)


def _line(row: MatrixRow) -> str:
    parts = [f"{row.backbone} {row.job}: {row.result}"]
    if row.flops_removed is not None:
        parts.append(f"{100 * row.flops_removed:.1f} % of the FLOPs")
    if row.seconds is not None:
        parts.append(f"{row.seconds:.0f} s")
    if row.error:
        parts.append(f"[{row.stage}] {row.error}")
    return ", ".join(parts)
