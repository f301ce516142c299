"""What to deploy, after an export; and what would help where compression gains nothing."""

from __future__ import annotations

from collections.abc import Sequence

from .side_by_side import DENSE, EXPORTED, Row

GAIN = 1.05
"""Below this, an export is not called faster than the dense model."""


def advice(rows: Sequence[Row]) -> list[str]:
    """What to deploy, in one line, behind a line for every target in which compression gains nothing.

    That is the fastest export with accuracy that holds; or the dense model, where in some precision it is faster.
    """
    exports = [row for row in rows if row.model == EXPORTED]
    lines = []
    for name in dict.fromkeys(row.name for row in rows if row.model == DENSE):
        fastest = min((row for row in exports if row.name == name), key=lambda row: row.milliseconds)
        if fastest.gain < GAIN:
            lines.append(_no_gain(fastest, [row for row in rows if row.name == name]))
    holding = [row for row in exports if row.holds]
    if not holding:
        best = max(exports, key=lambda row: row.found.same or 0.0)
        said = "the closest to the trained model, and not within Slim.quant.verify_threshold of it"
        return [*lines, f"deploy {_told(best)}: {said}; leave layers float with Slim.quant.skip, or train longer"]
    best = min(holding, key=lambda row: row.milliseconds)
    return [*lines, _deploy(best, rows)]


def _deploy(best: Row, rows: Sequence[Row]) -> str:
    """The line for the fastest export whose accuracy holds."""
    faster = min((row for row in rows if row.model == EXPORTED), key=lambda row: row.milliseconds)
    passed_over = "" if faster is best else f"; {_told(faster)} is faster, but its accuracy does not hold"
    dense = min((row for row in rows if row.model == DENSE), key=lambda row: row.milliseconds, default=None)
    if dense is None:
        return f"deploy {_told(best)}: the fastest here, {best.milliseconds:.3f} ms{passed_over}"
    gain = f"{best.gain:.2f} times dense FP32 in the same engine"
    in_precision = f"the dense model in {dense.precision.upper()}"
    if best.milliseconds > dense.milliseconds * GAIN:
        return (
            f"deploy {in_precision} ({dense.name}, {dense.milliseconds:.3f} ms): no export is as fast; the fastest "
            f"is {_told(best)}, {best.milliseconds:.3f} ms, {gain}{passed_over}"
        )
    also = f"; {in_precision} takes {dense.milliseconds:.3f} ms ({dense.name})"
    close = dense.milliseconds <= best.milliseconds * GAIN
    return f"deploy {_told(best)}: the fastest here, {gain}{also if close else ''}{passed_over}"


def _told(row: Row) -> str:
    return f"{row.folder} ({row.name}, {row.precision})"


def _no_gain(row: Row, rows_of_target: Sequence[Row]) -> str:
    """What would help where compression gains nothing."""
    helps = ["another engine in Slim.deploy.targets"]
    bf16 = next((one for one in rows_of_target if one.precision == "bf16"), None)
    if bf16 is not None and bf16.gain >= GAIN:
        helps.insert(0, f"BF16 ({bf16.gain:.2f} times, without training)")
    helps.append("Slim.quant.skip: auto-speed" if row.precision == "int8" else "a larger ratio, or Slim.quant")
    return (
        f"{row.folder} ({row.name}, {row.precision}) is no faster than the dense model in FP32 ({row.gain:.2f} "
        f"times): try {', '.join(helps)}"
    )
