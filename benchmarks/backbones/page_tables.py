"""The tables and lists of ``docs/coverage.md``, in its languages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Optional

from benchmarks.backbones.page_words import Words
from benchmarks.backbones.rows import JOBS, OK, REFUSED, MatrixRow

Results = Mapping[str, Mapping[tuple[str, str], MatrixRow]]
"""Version of Paddle -> (backbone, job) -> row."""
PaddleSlimResults = Mapping[str, Mapping[str, str]]
"""Backbone -> columns of the CSV with what PaddleSlim itself does."""


def summary(results: Results, theirs: PaddleSlimResults, words: Words) -> list[str]:
    """How many backbones of each version passed."""
    jobs = _jobs(results)
    heads = ["", *(head for job in jobs for head in words.counts[job]), words.not_run]
    table = [f"| {' | '.join(heads)} |".replace("|  |", "| |"), "|" + " --- |" * len(heads)]
    for version, rows in sorted(results.items(), reverse=True):
        cells = []
        total = len({row.backbone for row in rows.values()})
        for job in jobs:
            outcomes = [row.result for row in rows.values() if row.job == job]
            good, refused = outcomes.count(OK), outcomes.count(REFUSED)
            bad = len(outcomes) - good - refused
            cells += [
                words.share.format(part=good, total=total),
                *([str(refused)] if job == "prune" else []),
                str(bad),
            ]
        cells.append(str(len(jobs) * total - len(rows)))
        table.append(f"| Paddle {version} | {' | '.join(cells)} |")
    if theirs:
        pruned = sum(line["fpgm_result"] == OK for line in theirs.values())
        quantized = sum(line["pact_qat_result"] == OK for line in theirs.values())
        total = len(theirs)
        name, note = words.theirs
        done = [words.share.format(part=part, total=total) for part in (pruned, quantized)]
        table.append(f"| {name} | {done[0]} | | {total - pruned} | {done[1]} | {total - quantized} | |")
        return [*table, "", note, ""]
    return [*table, ""]


def backbone_table(results: Results, theirs: PaddleSlimResults, words: Words) -> list[str]:
    """A line for every backbone."""
    versions = sorted(results, reverse=True)
    heads = [*words.heads[:2], *(["PaddleSlim"] if theirs else []), *words.heads[2:]]
    heads += [
        words.result.format(job=words.jobs[job], version=version) for job in _jobs(results) for version in versions
    ]
    heads += [words.their_result] if theirs else []
    table = [f"| {' | '.join(heads)} |", "|" + " --- |" * len(heads)]
    for name in _backbones(results):
        rows = [results[version].get((name, "prune")) for version in versions]
        cells = [name, _each(rows, "flops_removed")]
        if theirs:
            cells.append(words.cell(_theirs(theirs.get(name))))
        cells += [_each(rows, "frozen_share"), _slowest(rows)]
        for job in _jobs(results):
            cells += [words.cell(_result(results[version].get((name, job)))) for version in versions]
        if theirs:
            cells.append(words.cell(theirs.get(name, {}).get("pact_qat_result", "")))
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


def remarks(results: Results, words: Words) -> list[str]:
    """What is frozen, refused or failed, with the reasons."""
    text = [words.frozen, ""]
    for name in _backbones(results):
        reasons = dict.fromkeys(
            row.frozen for rows in results.values() if (row := rows.get((name, "prune"))) is not None and row.frozen
        )
        text += [f"- {name}{words.colon}{words.reason(' / '.join(reasons))}"] if reasons else []
    text += ["", words.refused, ""]
    told: dict[tuple[str, str, str, str], list[str]] = {}
    for version, rows in sorted(results.items(), reverse=True):
        for row in rows.values():
            if row.result != OK:
                told.setdefault((row.backbone, row.job, row.result, row.error), []).append(version)
    for (name, job, result, error), where in told.items():
        parts = {"job": words.in_lists[job], "versions": words.conjunction.join(where), "result": words.cell(result)}
        text.append(words.line.format(name=name, error=error, **parts))
    return [*text, *([] if told else [words.nothing]), ""]
