"""What the page says in numbers: the heads of the page, and its tables, as text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from ...common.numbers import si
from .record import Record, Way

NONE = "–"
"""Where nothing was measured."""
EXPORTED, DENSE = "exported", "dense"
ENGINES = {"paddle": "Paddle Inference", "onnx": "ONNX Runtime", "openvino": "OpenVINO"}
MODELS = {"dense": "dense", "masked": "masked", "pruned": "pruned", "quantized": "quantized"}


@dataclass(frozen=True)
class Headline:
    """One figure of the head of the page.

    Attributes:
        what: is measured.
        after: of the result, as text.
        before: of the dense model, as text; empty where it is not known.
        change: between the two, as text.
    """

    what: str
    after: str
    before: str = ""
    change: str = ""


def percent(share: Optional[float], digits: int = 2) -> str:
    """``0.98056`` -> ``98.06 %``."""
    return NONE if share is None else f"{100 * share:.{digits}f} %"


def count(number: Optional[float], unit: str = "") -> str:
    """``12239000`` -> ``12.239 M``."""
    return NONE if number is None else f"{si(number).rstrip()}{unit}"


def size(number: Optional[float]) -> str:
    """``314312`` -> ``314.3 kB``."""
    if number is None:
        return NONE
    for factor, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if number >= factor:
            return f"{number / factor:.1f} {unit}"
    return f"{number:g} B"


def milliseconds(number: Optional[float]) -> str:
    """Three digits that count, at most three behind the point."""
    return NONE if number is None else f"{number:.{0 if number >= 100 else 1 if number >= 10 else 3}f} ms"


def spread(low: Optional[float], high: Optional[float]) -> str:
    """From the 10th to the 90th percentile of a latency, empty where they were not measured."""
    if low is None or high is None:
        return ""
    digits = 0 if high >= 100 else 1 if high >= 10 else 3
    return f"{low:.{digits}f} to {high:.{digits}f}"


def less(before: Optional[float], after: Optional[float]) -> str:
    """``-71 %``, empty where one of the two is not known."""
    if not before or after is None:
        return ""
    return f"{100 * (after / before - 1):+.0f} %".replace("-", "−")


def engine_name(way: Way) -> str:
    """Name of an engine for people."""
    return ENGINES.get(way.target, way.target)


def fastest(record: Record) -> Optional[Way]:
    """The fastest export whose accuracy holds, or the fastest of all where none does."""
    ways = [way for way in (record.export.ways if record.export else []) if way.model == EXPORTED and way.latency_ms]
    holding = [way for way in ways if way.holds]
    return min(holding or ways, key=lambda way: way.latency_ms or 0.0, default=None)


def baseline(record: Record, of: Way) -> Optional[Way]:
    """The dense model in FP32 in the same engine."""
    ways = record.export.ways if record.export else []
    return next((way for way in ways if way.target == of.target and way.model == DENSE), None)


def top1_of(record: Record, way: Way) -> Optional[float]:
    """Top-1 of a row: that of the dense model in FP32 was measured before compression."""
    dense = record.model(DENSE)
    if way.model == DENSE:
        return dense.top1 if dense is not None and way.precision == "fp32" else None
    return way.top1


def headlines(record: Record) -> list[Headline]:
    """The figures of the head of the page: accuracy, FLOPs, parameters, file and latency."""
    dense, last = record.model(DENSE), record.models[-1] if record.models else None
    best = fastest(record)
    found = []
    top1 = best.top1 if best is not None and best.top1 is not None else last.top1 if last is not None else None
    if top1 is not None:
        before = dense.top1 if dense is not None and dense is not last else None
        points = "" if before is None else f"{100 * (top1 - before):+.2f} points".replace("-", "−")
        found.append(Headline(record.metric, percent(top1), percent(before) if before is not None else "", points))
    if dense is not None and last is not None and dense.flops and last.flops:
        for what, a, b in (
            ("FLOPs (MACs)", dense.flops, last.flops),
            ("Parameters", dense.parameters, last.parameters),
        ):
            found.append(Headline(what, count(b), count(a), less(a, b)) if a != b else Headline(what, count(b)))
    if best is not None:
        first = baseline(record, best)
        if first is not None:
            change = less(first.file_bytes, best.file_bytes)
            found.append(Headline("File of weights", size(best.file_bytes), size(first.file_bytes), change))
            gain = "" if best.speed_up is None else f"{best.speed_up:.2f} × as fast"
            what = f"Latency, {engine_name(best)}"
            found.append(Headline(what, milliseconds(best.latency_ms), milliseconds(first.latency_ms), gain))
        else:
            found.append(Headline(f"Latency, {engine_name(best)}", milliseconds(best.latency_ms)))
    return found


def subtitle(record: Record) -> str:
    """What was done, in a few words."""
    done = []
    if record.widths:
        criterion = (record.slim.get("prune") or {}).get("name")
        done.append(f"pruned{f' by {criterion}' if isinstance(criterion, str) else ''}")
    if record.method:
        done.append(f"quantized with {record.method.upper()}")
    if record.slim.get("distill"):
        done.append("taught by a teacher")
    return ", ".join(done) or "dense"


def asked(record: Record) -> list[tuple[str, str]]:
    """What was asked for beside the ``Slim`` section; where stages differ in it, what each was asked for."""
    told = [stage for stage in record.stages if stage.asked]
    first = told[0].asked if told else record.training
    rows = []
    for key, value in first.items():
        values = [str(stage.asked.get(key)) for stage in told]
        shown = str(value)
        differ = len(set(values)) > 1 and key != "pretrained"  # a later stage starts from the one before
        if differ or (key == "epochs" and len(values) > 1):
            shown = ", ".join(f"{one} ({stage.label})" for one, stage in zip(values, told))
        if shown != "None":
            rows.append((key.replace("_", " "), shown))
    return rows


def all_warnings(record: Record) -> list[str]:
    """Those of the training and those of the export, each once."""
    export = record.export.warnings if record.export is not None else []
    return list(dict.fromkeys([*record.warnings, *export]))


def points_of(record: Record, kind: str = "", name: str = "") -> list[tuple[float, float, str, str, str]]:
    """Points of the scatter plot, see :func:`.charts.scatter`."""
    found = []
    for way in record.export.ways if record.export is not None else []:
        top1 = top1_of(record, way)
        if top1 is None or way.latency_ms is None:
            continue
        measured = f"{milliseconds(way.latency_ms)}, {percent(top1)}"
        said = f"{name}{engine_name(way)}, {way.model} in {way.precision}: {measured}"
        classes = f"{kind or _kind(record, way.target)} {way.model}"
        found.append((way.latency_ms, 100 * top1, classes, said, way.precision))
    return found


def _kind(record: Record, target: str) -> str:
    targets = list(dict.fromkeys(way.target for way in record.export.ways)) if record.export is not None else []
    return f"s{targets.index(target) % 6}" if target in targets else "s0"


def targets_of(ways: Sequence[Way]) -> list[tuple[str, str]]:
    """``(class, name)`` of every engine, for the legend of the scatter plot."""
    named = {way.target: engine_name(way) for way in ways}
    return [(f"s{number % 6}", name) for number, name in enumerate(named.values())]


def of_row(value: Optional[float], unit: str) -> str:
    """A value of :class:`.record.Row`."""
    if value is None:
        return NONE
    shown = {"%": percent(value / 100), "ms": milliseconds(value), "B": size(value)}
    return shown.get(unit) or count(value)
