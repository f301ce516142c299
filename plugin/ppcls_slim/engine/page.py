"""Write ``report.json`` and ``report.html`` when training or export ends. A fault in them never stops a run."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Optional

from ..common.errors import SlimError
from ..compat.distributed import is_rank0
from ..compat.paddleclas.logger import logger
from ..deploy.export import Outcome
from ..report.html import record as html
from ..report.html.page import write_page
from .export_record import EXPORT_COMMANDS, commands_of_export, record_of_export
from .record import DENSE, Trained, name_of, record_of_training

FAULTS = "PPCLS_SLIM_PAGE_FAULTS"
"""Environment variable: ``raise`` lets faults of the page stop the run, for tests."""


def page_of_training(engine: Trained) -> Optional[Path]:
    """Write the page of a training that has ended.

    Returns:
        Its path; None where it is switched off, where nothing was compressed or asked for, or where it failed.
    """
    asked = bool(engine.original_config.get("Slim"))
    if not engine.slim.writes_page or not is_rank0() or (name_of(engine.state) == DENSE and not asked):
        return None
    folder = Path(engine.original_config["Global"]["output_dir"])
    return _guarded(lambda: _write(_with_export_of(folder, record_of_training(engine)), folder))


def page_of_export(engine: Trained, outcome: Outcome) -> Optional[Path]:
    """Add an export to the record of the run that its checkpoint lies in, and write the page anew.

    Returns:
        Its path; None where the checkpoint lies in no output folder with a record.
    """
    if engine.checkpoint is None or not engine.slim.writes_page or not is_rank0():
        return None
    places = engine.checkpoint.path_prefix.parents
    folder = next((place for place in places[:2] if (place / html.FILE).is_file()), None)
    return None if folder is None else _guarded(lambda: _add(engine, outcome, folder))


def _with_export_of(folder: Path, record: html.Record) -> html.Record:
    """Keep the export of a training that had ended before, and was only started again."""
    try:
        before = html.read(folder)
    except SlimError:
        return record
    if before.stages == record.stages and before.export is not None:
        record.export = before.export
        record.commands += [one for one in before.commands if one.what in EXPORT_COMMANDS]
    return record


def _add(engine: Trained, outcome: Outcome, folder: Path) -> Path:
    record = html.read(folder)
    record.export = record_of_export(engine, outcome)
    kept = [one for one in record.commands if one.what not in EXPORT_COMMANDS]
    record.commands = [*kept, *commands_of_export(outcome)]
    return _write(record, folder)


def _write(record: html.Record, folder: Path) -> Path:
    html.write(record, folder)
    return write_page(record, folder)


def _guarded(write: Callable[[], Path]) -> Optional[Path]:
    try:
        return write()
    except Exception as error:
        if os.environ.get(FAULTS) == "raise":
            raise
        logger.warning(f"ppcls_slim: the page of the run was not written: {type(error).__name__}: {error}")
        return None
