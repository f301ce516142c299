"""``docs/coverage.md`` and ``docs/coverage.zh.md`` from the matrix's tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from benchmarks.backbones.page_tables import Results, backbone_table, remarks, summary
from benchmarks.backbones.page_words import Words, words_of
from benchmarks.backbones.rows import MatrixRow, read
from ppcls_slim.common.atomic import write_text
from ppcls_slim.common.errors import SlimError


def write_page(page: Path, tables: Sequence[Path], upstream: Optional[Path] = None) -> None:
    """Write the page.

    Args:
        page: Markdown file; the name says its language, see :func:`.page_words.words_of`.
        tables: CSVs that the matrix wrote, one for each version of Paddle and of PaddleClas.
        upstream: CSV with ``backbone``, ``fpgm_result``, ``fpgm_flops_drop`` and ``pact_qat_result``: what
            PaddleSlim itself does.

    Raises:
        SlimError: a table is missing or empty.
    """
    results: dict[str, dict[str, dict[tuple[str, str], MatrixRow]]] = {}
    for table in tables:
        rows = read(table)
        if not rows:
            raise SlimError(f"--csv: {table} has no rows; run `ppcls-slim coverage` first")
        for row in rows:
            results.setdefault(row.paddleclas, {}).setdefault(row.paddle, {})[row.key] = row
    if not results:
        raise SlimError("--page needs the tables to write it from: give each with --csv")
    theirs, words = _upstream(upstream), words_of(page)
    parts = [_head(results, words)]
    for release, of_release in results.items():
        versions = words.conjunction.join(sorted(of_release))
        parts.append([words.of_release.format(release=release, versions=versions), ""])
        parts += [
            summary(of_release, theirs, words),
            backbone_table(of_release, theirs, words),
            remarks(of_release, words),
        ]
        theirs = {}  # PaddleSlim was tried on the backbones of the first table
    text = "\n".join(line for part in parts for line in part).rstrip()
    write_text(page, text + "\n")


def _upstream(table: Optional[Path]) -> dict[str, dict[str, str]]:
    if table is None:
        return {}
    if not table.is_file():
        raise SlimError(f"--upstream: there is no file {table}")
    with table.open(newline="", encoding="utf-8") as file:
        return {line["backbone"]: line for line in csv.DictReader(file)}


def _head(results: Mapping[str, Results], words: Words) -> list[str]:
    tables = [rows for of_release in results.values() for rows in of_release.values()]
    everything = [row for rows in tables for row in rows.values()]
    releases = words.between_releases.join(results)
    digests = words.comma.join(sorted({f"`{row.code}`" for row in everything}))
    versions = words.conjunction.join(sorted({row.paddle for row in everything}))
    intro = (text.format(releases=releases, versions=versions, digests=digests) for text in words.intro)
    return [line for text in intro for line in (*text.split("\n"), "")]
