"""``ppcls-slim coverage``: run the matrix, or write its page."""

from __future__ import annotations

import argparse
import functools
import os
import signal
import zipfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Optional

from benchmarks.backbones.families import Backbone, matching, smallest
from benchmarks.backbones.matrix import code_digest, run_matrix, survey
from benchmarks.backbones.page import write_page
from benchmarks.backbones.rows import JOBS, OK, REFUSED, MatrixRow
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddleclas.find import BACKBONES, VARIABLE, ppcls_version


def coverage(arguments: argparse.Namespace) -> None:
    """What the sub-command does.

    Raises:
        SlimError: a name or a file is wrong.
    """
    if arguments.page is not None:
        write_page(arguments.page, arguments.csv, arguments.upstream)
        return
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    work = arguments.work.resolve()
    release = _take_paddleclas(arguments.paddleclas, work)
    by_size = not (arguments.names or arguments.all)
    paddle, backbones = survey(count=by_size or arguments.list)
    if arguments.list:
        _show(backbones, set(smallest(backbones)))
        return
    jobs, digest = arguments.job or JOBS, code_digest()
    by_name = {one.name: one for one in backbones}
    names = _chosen(backbones, arguments.names, arguments.all)
    rows = [MatrixRow(name, by_name[name].file, job, paddle, release, digest) for job in jobs for name in names]
    table = arguments.csv[0] if arguments.csv else Path(f"docs/coverage/paddle_{paddle}_paddleclas_{release}.csv")
    signal.signal(signal.SIGTERM, _stop)
    finished = functools.partial(_finished, keep=arguments.keep)
    say = functools.partial(print, flush=True)
    results = run_matrix(rows, table, work, arguments.limit, arguments.jobs, say, finished)
    for job in jobs:
        counts = Counter(row.result for row in results if row.job == job and row.backbone in names)
        print(f"{job}: " + ", ".join(f"{count} {result}" for result, count in sorted(counts.items())))
    print(f"written to {table}")


def _chosen(backbones: Sequence[Backbone], patterns: Sequence[str], everything: bool) -> list[str]:
    names = [one.name for one in backbones]
    if patterns:
        return matching(patterns, names)
    return names if everything else smallest(backbones)


def _finished(new: MatrixRow, old: MatrixRow, keep: bool) -> bool:
    """Whether a row of the table makes a new run unnecessary; with ``keep`` also one of another source code."""
    same = (old.paddle, old.paddleclas) == (new.paddle, new.paddleclas)
    if keep and old.result in (OK, REFUSED):
        return same
    return same and old.code == new.code


def _stop(signum: int, frame: Optional[FrameType]) -> None:
    raise KeyboardInterrupt


def _take_paddleclas(place: Optional[Path], work: Path) -> str:
    """Let the processes use another PaddleClas than the installed one; return what it is called."""
    if place is None:
        return ppcls_version()
    if not place.exists():
        raise SlimError(f"--paddleclas: {place} does not exist")
    name = place.name
    if place.suffix == ".whl":
        folder = work / place.stem
        with zipfile.ZipFile(place) as wheel:
            wheel.extractall(folder)
        name, place = place.name.split("-")[1], folder / "paddleclas"
    if not (place / "ppcls/arch/backbone").is_dir():
        raise SlimError(f"--paddleclas: {place} has no ppcls/arch/backbone: give a wheel, or the folder of ppcls")
    has_engine = (place / "ppcls/engine/engine.py").is_file()
    os.environ[VARIABLE if has_engine else BACKBONES] = str(place.resolve())
    return "source" if has_engine and name == place.name else name


def _show(backbones: Sequence[Backbone], default: set[str]) -> None:
    for one in backbones:
        size = "cannot be counted" if one.parameters is None else f"{one.parameters / 1e6:.2f} M"
        print(f"{'*' if one.name in default else ' '} {one.name:48} {one.file:32} {size}")
    print(f"* {len(default)} of {len(backbones)} stand for their families")
