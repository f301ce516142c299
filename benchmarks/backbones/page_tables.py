"""The tables and lists of ``docs/coverage.md``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Optional

from benchmarks.backbones.rows import JOBS, OK, REFUSED, MatrixRow

Results = Mapping[str, Mapping[tuple[str, str], MatrixRow]]
"""Version of Paddle -> (backbone, job) -> row."""
PaddleSlimResults = Mapping[str, Mapping[str, str]]
"""Backbone -> columns of the CSV with what PaddleSlim itself does."""

_TITLES = {"prune": "pruned", "quant": "int8"}


def summary(results: Results, theirs: PaddleSlimResults) -> list[str]:
    """How many backbones of each version passed."""
    jobs = _jobs(results)
    heads = ["", *(["pruned", "refused", "failed"] if "prune" in jobs else [])]
    heads += [*(["int8", "failed"] if "quant" in jobs else []), "not run"]
    table = [f"| {' | '.join(heads)} |".replace("|  |", "| |"), "|" + " --- |" * len(heads)]
    for version, rows in sorted(results.items(), reverse=True):
        cells = []
        total = len({row.backbone for row in rows.values()})
        for job in jobs:
            outcomes = [row.result for row in rows.values() if row.job == job]
            good, refused = outcomes.count(OK), outcomes.count(REFUSED)
            bad = len(outcomes) - good - refused
            cells += [f"{good} of {total}", *([str(refused)] if job == "prune" else []), str(bad)]
        cells.append(str(len(jobs) * total - len(rows)))
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
            "PaddleSlim's lines say only that its own steps ended: no result was checked or compared.",
            "",
        ]
    return [*table, ""]


def backbone_table(results: Results, theirs: PaddleSlimResults) -> list[str]:
    """A line for every backbone."""
    versions = sorted(results, reverse=True)
    heads = ["backbone", "FLOPs removed", *(["PaddleSlim"] if theirs else []), "frozen", "seconds"]
    heads += [f"{_TITLES[job]}, {version}" for job in _jobs(results) for version in versions]
    heads += ["int8, PaddleSlim"] if theirs else []
    table = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for name in _backbones(results):
        rows = [results[version].get((name, "prune")) for version in versions]
        cells = [name, _each(rows, "flops_removed")]
        if theirs:
            cells.append(_theirs(theirs.get(name)))
        cells += [_each(rows, "frozen_share"), _slowest(rows)]
        for job in _jobs(results):
            cells += [_result(results[version].get((name, job))) for version in versions]
        if theirs:
            cells.append(theirs.get(name, {}).get("pact_qat_result", ""))
        table.append(f"| {' | '.join(cells)} |")
    return [*table, ""]


def _jobs(results: Results) -> list[str]:
    """The jobs that were run at all."""
    found = {row.job for rows in results.values() for row in rows.values()}
    return [job for job in JOBS if job in found]


def _backbones(results: Results) -> list[str]:
    return list(dict.fromkeys(row.backbone for rows in results.values() for row in rows.values()))


def _each(rows: Iterable[Optional[MatrixRow]], field: str) -> str:
    """Percentages of both versions; one if they agree."""
    values = [getattr(row, field) for row in rows if row is not None]
    shown = dict.fromkeys(f"{100 * value:.1f} %" for value in values if value is not None)
    return " / ".join(shown)


def _slowest(rows: Iterable[Optional[MatrixRow]]) -> str:
    values = [row.analysis_seconds for row in rows if row is not None and row.analysis_seconds is not None]
    return f"{max(values):.1f}" if values else ""


def _result(row: Optional[MatrixRow]) -> str:
    return "" if row is None else row.result


def _theirs(line: Optional[Mapping[str, str]]) -> str:
    if line is None:
        return ""
    if line["fpgm_result"] == OK:
        return f"{100 * float(line['fpgm_flops_drop']):.1f} %"
    return line["fpgm_result"]


def remarks(results: Results) -> list[str]:
    """What is frozen, refused or failed, with the reasons."""
    text = ["### What is frozen, and why", ""]
    for name in _backbones(results):
        reasons = dict.fromkeys(
            row.frozen for rows in results.values() if (row := rows.get((name, "prune"))) is not None and row.frozen
        )
        text += [f"- {name}: {' / '.join(reasons)}"] if reasons else []
    text += ["", "### What was refused or failed, and why", ""]
    told: dict[tuple[str, str, str], list[str]] = {}
    for version, rows in sorted(results.items(), reverse=True):
        for row in rows.values():
            if row.result != OK:
                told.setdefault((row.backbone, row.job, f"{row.result}: {row.error}"), []).append(version)
    text += [f"- {name}, {job}, on {' and '.join(where)}: {why}" for (name, job, why), where in told.items()]
    return [*text, *([] if told else ["Nothing."]), ""]
