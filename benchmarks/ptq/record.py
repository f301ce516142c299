"""The JSON record of the benchmark, and its table."""

from __future__ import annotations

import importlib.metadata
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.ptq.configuration import NETWORKS
from ppcls_slim.common.atomic import write_json

ENGINES = ("fake-quant", "paddle", "onnx", "openvino")
PACKAGES = ("paddlepaddle", "onnxruntime", "openvino", "nncf", "paddle2onnx")
Row = dict[str, Any]


def read_rows(file: Path) -> list[Row]:
    """Return the rows of a record; none where there is no file."""
    return list(json.loads(file.read_text(encoding="utf-8"))["rows"]) if file.is_file() else []


def write_rows(file: Path, rows: Sequence[Row]) -> None:
    """Write the record, with the versions of the packages at hand."""
    write_json(file, {"rows": list(rows), "versions": {name: _version(name) for name in PACKAGES}})


def table(rows: Sequence[Row]) -> str:
    """Return a Markdown table: a line for each network and way, top-1 and share of predictions as fake-quant."""
    lines = ["| network | quantized by | " + " | ".join(ENGINES) + " |", "| --- | --- |" + " --- |" * len(ENGINES)]
    order = sorted(rows, key=lambda row: list(NETWORKS).index(row["network"]))
    for network, way in dict.fromkeys((row["network"], row["way"]) for row in order):
        found = {row["engine"]: row for row in rows if (row["network"], row["way"]) == (network, way)}
        lines.append(f"| {network} | {way} | " + " | ".join(_cell(found.get(one)) for one in ENGINES) + " |")
    return "\n".join(lines)


def _cell(row: Any) -> str:
    if row is None:
        return ""
    same = row["same_as_fake_quant"]
    return f"{row['top1']:.2f}" + ("" if same is None or row["engine"] == ENGINES[0] else f" ({same:.2f})")


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
