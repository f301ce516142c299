"""``tools/regress.py``: accuracy against what is published, row by row.

A row names a configuration, a checkpoint (or an exported model), and the accuracy that it has to have. A row
whose data or weights are not there is reported as not run, never as passed.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from prettytable import PrettyTable

from benchmarks.accuracy.measure import measure
from benchmarks.accuracy.rows import AccuracyRow, Places, read_rows
from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.common.atomic import write_json
from ppcls_slim.common.errors import SlimError

PASSED, FAILED, NOT_RUN = "passed", "failed", "not run"


def regress(file: Path, only: Optional[str], places: Sequence[str], json_file: Optional[Path]) -> bool:
    """Evaluate, print a table, write JSON.

    Args:
        file: the rows, YAML.
        only: shell pattern on their names; None for all.
        places: ``NAME=PATH``, instead of the file's.
        json_file: written atomically when all rows are done.

    Returns:
        Whether no row that was run lies below its tolerance.

    Raises:
        SlimError: the file of rows or an option is wrong.
    """
    rows = read_rows(file)
    where = Places.of(file, rows, places)
    results = []
    for row in rows.chosen(only, file):
        results.append(run_row(row, where))
        print(_line(results[-1]), flush=True)
    print(table(results))
    if json_file is not None:
        record = {"rows": results, "written_by": checkpoints.versions()}
        write_json(json_file, record)
    return all(result["status"] != FAILED for result in results)


def run_row(row: AccuracyRow, places: Places) -> dict[str, Any]:
    """Evaluate one row; the result is plain data with ``status`` and, if it was run, ``measured``."""
    result: dict[str, Any] = {**row.model_dump(), "measured": None, "status": NOT_RUN, "why": "", "seconds": None}
    model = places.path(row.checkpoint or row.exported or "")
    missing = next((path for path in (places.where[row.data], _on_disk(model)) if not path.exists()), None)
    if missing is not None:
        return {**result, "why": f"there is no {missing}"}
    start = time.perf_counter()
    try:
        measured = round(100 * measure(row, places, model), 2)
    except Exception as error:  # whatever stops this row, the others are still to be run
        reason = (str(error).strip().splitlines() or [""])[-1]
        kind = "" if isinstance(error, SlimError) else f"{type(error).__name__}: "
        return {**result, "status": FAILED, "why": f"{kind}{reason}"}
    passed = measured >= round(row.published - row.tolerance, 6)
    seconds = round(time.perf_counter() - start, 1)
    return {**result, "measured": measured, "status": PASSED if passed else FAILED, "seconds": seconds}


def table(results: Sequence[Mapping[str, Any]]) -> str:
    """The results as text, and a last line with the counts."""
    shown = PrettyTable(["row", "published", "tolerance", "measured", "status", "source"])
    shown.align = "l"
    for result in results:
        measured = "" if result["measured"] is None else f"{result['measured']:.2f}"
        shown.add_row(
            [result["name"], f"{result['published']:.2f}", f"{result['tolerance']:.2f}", measured,
             result["status"], result["source"]]
        )  # fmt: skip
    counts = [sum(result["status"] == status for result in results) for status in (PASSED, FAILED, NOT_RUN)]
    return f"{shown.get_string()}\n{counts[0]} passed, {counts[1]} failed, {counts[2]} not run"


def _line(result: Mapping[str, Any]) -> str:
    measured = "" if result["measured"] is None else f" {result['measured']:.2f}"
    return f"{result['name']}:{measured} {result['status']}{': ' if result['why'] else ''}{result['why']}"


def _on_disk(model: Path) -> Path:
    """The file that says whether the model is there: checkpoints are named without ``.pdparams``."""
    weights = checkpoints.with_suffix(model, checkpoints.WEIGHTS)
    return weights if not model.exists() and model.suffix != ".safetensors" else model
