"""What an export found, for ``report.json``: see :mod:`ppcls_slim.report.html.record`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..common import command_line
from ..deploy.advice import advice
from ..deploy.export import Outcome
from ..deploy.side_by_side import EXPORTED, Row
from ..report.html import record as html
from ..verify.int8 import accuracy_of, closeness
from .record import Trained, now

EXPORT_COMMANDS = ("Time the exports", "Predict")


def record_of_export(engine: Trained, outcome: Outcome) -> html.Export:
    """Return the part of the record that an export adds."""
    exported = outcome.done
    figures = {name: one.verified.figures for name, one in exported.items()}
    first = next(iter(exported.values()))
    return html.Export(
        checkpoint=str(engine.checkpoint.path_prefix) if engine.checkpoint is not None else "",
        written=now(),
        device=str(engine.original_config["Global"]["device"]),
        headings=first.target.headings,
        rows=[html.Row(**vars(row)) for row in outcome.rows],
        ways=[_way(row, exported[row.name].target.engine) for row in outcome.ways],
        agreement=[one for name, found in figures.items() for one in _agreement(name, found)],
        layers_float={
            name: list(found["float_layers"]) for name, found in figures.items() if found.get("float_layers")
        },
        advice=advice(outcome.ways) if any(row.model == EXPORTED for row in outcome.ways) else [],
        warnings=[*outcome.warnings, *(one.verified.warning for one in exported.values() if one.verified.warning)],
    )


def commands_of_export(outcome: Outcome) -> list[html.Command]:
    """The commands that measure what was exported, and predict with it."""
    folders = [str(one.folder) for one in outcome.done.values()]
    predict = command_line.line("predict", "--model-dir", folders[0], "--images", "FOLDER")
    return [
        html.Command(what=EXPORT_COMMANDS[0], line=command_line.line("benchmark", *folders, "--precision", "all")),
        html.Command(what=EXPORT_COMMANDS[1], line=predict),
    ]


def _way(row: Row, engine: str) -> html.Way:
    return html.Way(
        target=row.name,
        engine=engine,
        model=row.model,
        precision=row.precision,
        folder=str(row.folder),
        file_bytes=row.file_bytes,
        latency_ms=row.milliseconds,
        low_ms=row.latency.p10_ms,
        high_ms=row.latency.p90_ms,
        speed_up=row.gain,
        top1=row.found.top1,
        same=row.found.same,
        holds=row.holds,
    )


def _agreement(target: str, found: Mapping[str, Any]) -> list[html.Agreement]:
    return [
        html.Agreement(
            target=target,
            run=run,
            samples=found["samples"],
            source=str(found.get("source", "")),
            accuracy=accuracy_of(found, run),
            same=closeness(found, run),
        )
        for run in found.get("runs", {})
    ]
