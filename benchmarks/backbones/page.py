"""``docs/coverage.md`` from the matrix's tables."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Optional

from benchmarks.backbones.page_tables import Results, backbone_table, remarks, summary
from benchmarks.backbones.rows import MatrixRow, read
from ppcls_slim.common.atomic import write_text
from ppcls_slim.common.errors import SlimError


def write_page(page: Path, tables: Sequence[Path], upstream: Optional[Path] = None) -> None:
    """Write the page.

    Args:
        page: Markdown file.
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
    theirs = _upstream(upstream)
    parts = [_head(results)]
    for release, of_release in results.items():
        versions = " and ".join(sorted(of_release))
        parts.append([f"## PaddleClas {release} on Paddle {versions}", ""])
        parts += [summary(of_release, theirs), backbone_table(of_release, theirs), remarks(of_release)]
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


def _head(results: Mapping[str, Results]) -> list[str]:
    tables = [rows for of_release in results.values() for rows in of_release.values()]
    everything = [row for rows in tables for row in rows.values()]
    releases = " and of ".join(results)
    codes = ", ".join(sorted({f"`{row.code}`" for row in everything}))
    versions = " and ".join(sorted({row.paddle for row in everything}))
    return [
        "# Coverage",
        "",
        f"Backbones of PaddleClas {releases}, the smallest of each family, on Paddle {versions}.",
        f"Written by `ppcls-slim coverage`; digest of the plugin's source: {codes}.",
        "",
        "**Pruned** (FPGM, ratio 0.3 everywhere) is `ok` when: the pruned network equals the dense one with exactly "
        "those channels masked, on noise and on images, to 1e-4 of the largest output; a training step runs; the "
        "model that is rebuilt from the checkpoint alone has the same tensors; and Paddle Inference gives the "
        "trained model's logits to 1e-3 in the 2-norm, with and without oneDNN.",
        "",
        "**int8** (PACT QAT) is `ok` when: a training step runs; the model that is rebuilt from the checkpoint alone "
        "has the same tensors; every quantized layer of the exported file has the trained one's scale and, on the "
        "input that it has in the file, its output to 0.02 in the 2-norm; and a dozen parts of the file, each on "
        "its own, give in oneDNN's int8 kernels what a reference run (without oneDNN) gives, to 0.4 where they have "
        "20 layers at most. The logits of the whole are compared, too, loosely: in an untrained network, one value "
        "that is rounded to another step changes all layers behind it (to 0.25, or three times what noise of 1e-6 "
        "does; in int8 to 0.5, or twice what quantizing the float model changed).",
        "",
        "**FLOPs** are multiply-accumulates of convolutions and linear layers at the model's own image size. "
        "**Frozen** is the share of all filters that cannot be removed. **Seconds** are analysis, importance and "
        "selection: processor time on one thread.",
        "",
    ]
