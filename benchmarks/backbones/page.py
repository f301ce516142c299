"""``docs/coverage.md`` from the matrix's tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Optional

from benchmarks.backbones.rows import JOBS, OK, Row, read
from ppcls_slim.common.atomic import write_text
from ppcls_slim.common.errors import SlimError

Lines = Mapping[str, Mapping[tuple[str, str], Row]]
"""Version of Paddle -> (backbone, job) -> row."""

_TITLES = {"prune": "pruned", "quant": "int8"}


def write_page(page: Path, tables: Sequence[Path], upstream: Optional[Path] = None) -> None:
    """Write the page.

    Args:
        page: Markdown file.
        tables: CSVs that the matrix wrote, one for each version of Paddle.
        upstream: CSV with ``backbone``, ``fpgm_result``, ``fpgm_flops_drop`` and ``pact_qat_result``: what
            PaddleSlim itself does.

    Raises:
        SlimError: a table is missing or empty.
    """
    lines: dict[str, dict[tuple[str, str], Row]] = {}
    for table in tables:
        rows = read(table)
        if not rows:
            raise SlimError(f"--csv: {table} has no rows; run `ppcls-slim coverage` first")
        for row in rows:
            lines.setdefault(row.paddle, {})[row.key] = row
    if not lines:
        raise SlimError("--page needs the tables to write it from: give each with --csv")
    theirs = _upstream(upstream)
    text = "\n".join([*_head(lines), *_summary(lines, theirs), *_table(lines, theirs), *_remarks(lines)])
    write_text(page, text + "\n")


def _upstream(table: Optional[Path]) -> dict[str, dict[str, str]]:
    if table is None:
        return {}
    if not table.is_file():
        raise SlimError(f"--upstream: there is no file {table}")
    with table.open(newline="", encoding="utf-8") as file:
        return {line["backbone"]: line for line in csv.DictReader(file)}


def _head(lines: Lines) -> list[str]:
    rows = [row for line in lines.values() for row in line.values()]
    releases = " and ".join(sorted({row.paddleclas for row in rows}))
    codes = ", ".join(sorted({f"`{row.code}`" for row in rows}))
    return [
        "# Coverage",
        "",
        f"Backbones of PaddleClas {releases}, the smallest of each family, on Paddle {' and '.join(sorted(lines))}.",
        f"Written by `ppcls-slim coverage`; digest of the plugin's source: {codes}.",
        "",
        "**Pruned** (FPGM, ratio 0.3 everywhere) is `ok` when: the pruned network equals the dense one with exactly "
        "those channels silenced, on noise and on images, to 1e-4 of the largest output; a training step runs; the "
        "model that is rebuilt from the checkpoint alone has the same tensors; and Paddle Inference gives the "
        "trained model's logits to 1e-3 in the 2-norm, with and without oneDNN.",
        "",
        "**int8** (PACT QAT) is `ok` when: a training step runs; the model that is rebuilt from the checkpoint alone "
        "has the same tensors; every quantized layer of the exported file has the trained one's scale and, on the "
        "input that it has in the file, its output to 0.02 in the 2-norm; and a dozen parts of the file, each on "
        "its own, give in oneDNN's int8 kernels what they give run plainly, to 0.4 where they have 20 layers at "
        "most. The logits of the whole are compared, too, loosely: in an untrained network, one rounding that "
        "falls the other way goes on through all layers behind it (to 0.25, or three times what noise of 1e-6 "
        "does; in int8 to 0.5, or twice what quantizing the float model changed).",
        "",
        "**FLOPs** are multiply-accumulates of convolutions and linear layers at the model's own image size. "
        "**Frozen** is the share of all filters that cannot go. **Seconds** are analysis, scoring and "
        "selection, on one thread, of the processor.",
        "",
    ]


def _summary(lines: Lines, theirs: Mapping[str, Mapping[str, str]]) -> list[str]:
    table = [
        "| | pruned | refused | failed | int8 | failed | not run |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for version, line in sorted(lines.items(), reverse=True):
        cells = []
        total = len({row.backbone for row in line.values()})
        for job in JOBS:
            results = [row.result for row in line.values() if row.job == job]
            good, refused = results.count(OK), results.count("refused")
            bad = len(results) - good - refused
            cells += [f"{good} of {total}", *([str(refused)] if job == "prune" else []), str(bad)]
        cells.append(str(len(JOBS) * total - len(line)))
        table.append(f"| Paddle {version} | {' | '.join(cells)} |")
    if theirs:
        pruned = sum(line["fpgm_result"] == OK for line in theirs.values())
        quantized = sum(line["pact_qat_result"] == OK for line in theirs.values())
        total = len(theirs)
        table.append(
            f"| PaddleSlim 2.6.0 on Paddle 2.6.2 | {pruned} of {total} | | {total - pruned} | "
            f"{quantized} of {total} | {total - quantized} | |"
        )
        return [
            *table,
            "",
            "PaddleSlim's lines say that its own steps ended: nothing of it was proved or compared.",
            "",
        ]
    return [*table, ""]


def _table(lines: Lines, theirs: Mapping[str, Mapping[str, str]]) -> list[str]:
    versions = sorted(lines, reverse=True)
    heads = ["backbone", "FLOPs removed", *(["PaddleSlim"] if theirs else []), "frozen", "seconds"]
    heads += [f"{_TITLES[job]}, {version}" for job in JOBS for version in versions]
    heads += ["int8, PaddleSlim"] if theirs else []
    table = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for name in _backbones(lines):
        rows = [lines[version].get((name, "prune")) for version in versions]
        cells = [name, _each(rows, "flops_removed")]
        if theirs:
            cells.append(_theirs(theirs.get(name)))
        cells += [_each(rows, "frozen_share"), _slowest(rows)]
        for job in JOBS:
            cells += [_result(lines[version].get((name, job))) for version in versions]
        if theirs:
            cells.append(theirs.get(name, {}).get("pact_qat_result", ""))
        table.append(f"| {' | '.join(cells)} |")
    return [*table, ""]


def _backbones(lines: Lines) -> list[str]:
    return list(dict.fromkeys(row.backbone for line in lines.values() for row in line.values()))


def _each(rows: Iterable[Optional[Row]], field: str) -> str:
    """Percentages of both versions; one if they agree."""
    values = [getattr(row, field) for row in rows if row is not None]
    shown = dict.fromkeys(f"{100 * value:.1f} %" for value in values if value is not None)
    return " / ".join(shown)


def _slowest(rows: Iterable[Optional[Row]]) -> str:
    values = [row.analysis_seconds for row in rows if row is not None and row.analysis_seconds is not None]
    return f"{max(values):.1f}" if values else ""


def _result(row: Optional[Row]) -> str:
    return "" if row is None else row.result


def _theirs(line: Optional[Mapping[str, str]]) -> str:
    if line is None:
        return ""
    if line["fpgm_result"] == OK:
        return f"{100 * float(line['fpgm_flops_drop']):.1f} %"
    return line["fpgm_result"]


def _remarks(lines: Lines) -> list[str]:
    text = ["## What is frozen, and why", ""]
    for name in _backbones(lines):
        reasons = dict.fromkeys(
            row.frozen for line in lines.values() if (row := line.get((name, "prune"))) is not None and row.frozen
        )
        text += [f"- {name}: {' / '.join(reasons)}"] if reasons else []
    text += ["", "## What was refused or failed, and why", ""]
    told: dict[tuple[str, str, str], list[str]] = {}
    for version, line in sorted(lines.items(), reverse=True):
        for row in line.values():
            if row.result != OK:
                told.setdefault((row.backbone, row.job, f"{row.result}: {row.error}"), []).append(version)
    text += [f"- {name}, {job}, on {' and '.join(where)}: {why}" for (name, job, why), where in told.items()]
    text += [] if told else ["Nothing."]
    return text
