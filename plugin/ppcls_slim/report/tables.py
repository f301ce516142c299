"""Plain-text tables, for terminals and logs alike."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Optional

from prettytable import PrettyTable

from ..common.numbers import si
from ..prune.plan import Decision, Plan

WIDTH = 120
"""Columns of a terminal that a table fits; the plan's JSON has what is cut off."""


def plan_table(plan: Plan) -> str:
    """Return a table with one line for each group of channels, then the layers that are not pruned and the totals.

    FLOPs are multiply-accumulates of a group's own layers; milliseconds are what the search for a latency adds up.
    """
    times = plan.latency.layers if plan.latency is not None else {}
    columns = [
        "layer",
        "channels",
        "removed",
        *(["FLOPs"] if plan.decisions[0].flops else []),
        *(["ms"] if times else []),
    ]
    rows = [_row(decision, columns, times) for decision in plan.decisions]
    room = WIDTH - sum(max(map(len, cells)) + 3 for cells in zip(columns, *rows)) - 2 * 3 - 1
    table = PrettyTable([*columns, "with", "note"], align="r")
    for column in ("layer", "with", "note"):
        table.align[column] = "l"
    for decision, row in zip(plan.decisions, rows):
        together = f"{len(decision.layers) - 1} more" if len(decision.layers) > 1 else ""
        table.add_row([*row, together, cut(decision.note, max(room - len("99 more"), 12))])
    lines = [table.get_string()]
    reasons = [f"  {layer}: {reason}" for layer, reason in plan.frozen.items()]
    unreached = plan.flops.get("unreached", 0) / plan.flops["dense"]  # plans of older versions do not say
    if unreached > 0:
        reasons.append(
            f"  linear layers with {100 * unreached:.1f} % of the FLOPs: widths of attention and MLPs stay"
        )
    if reasons:
        lines += ["not pruned, and why:", *reasons]
    lines += summary_lines(plan)
    if plan.latency is not None:
        lines.append(str(plan.latency))
    return "\n".join(lines)


def summary_lines(plan: Plan) -> list[str]:
    """Return the totals, in lines that fit a terminal."""
    return textwrap.wrap(summary(plan), WIDTH, subsequent_indent="  ")


def summary(plan: Plan) -> str:
    """Return the totals in one line; FLOPs are multiply-accumulates, see :mod:`ppcls_slim.prune.flops`."""
    flops, parameters = plan.flops, plan.parameters
    return (
        f"{plan.criterion}: FLOPs {si(flops['dense'])} -> {si(flops['pruned'])} "
        f"(-{100 * plan.pruned_flops:.1f} %), parameters {si(parameters['dense'])} -> {si(parameters['pruned'])} "
        f"(-{100 * (1 - parameters['pruned'] / parameters['dense']):.1f} %), at {list(plan.input_shape)}, "
        f"channels in multiples of {plan.align} ({plan.align_reason})"
    )


def _row(decision: Decision, columns: Sequence[str], times: Mapping[str, tuple[float, float]]) -> list[str]:
    kept, channels = len(decision.kept), decision.prunable_channels
    row = [cut(decision.layers[0] if decision.layers else decision.root_weight, 44), f"{channels} -> {kept}"]
    row.append(f"{100 * (1 - kept / channels):.0f} %")
    if "FLOPs" in columns:
        dense, pruned = decision.flops or (0, 0)
        row.append(f"{si(dense)} -> {si(pruned)}")
    if "ms" in columns:
        dense_ms, pruned_ms = (sum(times[layer][i] for layer in decision.layers if layer in times) for i in (0, 1))
        row.append(f"{dense_ms:.3f} -> {pruned_ms:.3f}")
    return row


def cut(text: str, width: int) -> str:
    """A text that fits."""
    return text if len(text) <= width else f"{text[: width - 1]}…"


@dataclass(frozen=True)
class Comparison:
    """One row of a comparison: a figure of the model before compression, and of the compressed one.

    Attributes:
        what: what is compared.
        before: figure of the model that was compressed; None where it is not known.
        after: figure of the compressed model; None where it is not known.
        unit: ``%``, ``ms``, ``B``, or empty for a count.
        spread_before: 10th and 90th percentile of what ``before`` is the median of, None for other figures.
        spread_after: the same of ``after``.
    """

    what: str
    before: Optional[float]
    after: Optional[float]
    unit: str = ""
    spread_before: Optional[tuple[float, float]] = None
    spread_after: Optional[tuple[float, float]] = None


def comparison_table(rows: Sequence[Comparison], before: str, after: str) -> str:
    """A model before compression against the compressed one.

    Args:
        rows: what is compared.
        before: heading of the column of the model that was compressed: ``dense``.
        after: heading of the column of the compressed model: ``pruned``.
    """
    table = PrettyTable(["", before, after, "ratio"])
    table.align = "r"
    table.align[""] = "l"
    for row in rows:
        ratio = f"{row.after / row.before:.3f}" if row.before and row.after is not None else ""
        values = _value(row.before, row.unit, row.spread_before), _value(row.after, row.unit, row.spread_after)
        table.add_row([row.what, *values, ratio])
    return table.get_string()


def _value(value: Optional[float], unit: str, spread: Optional[tuple[float, float]]) -> str:
    if value is None:
        return "-"
    if unit == "%":
        return f"{value:.2f} %"
    if unit == "ms":
        return f"{short(value)} ms" + (f" ({short(spread[0])}..{short(spread[1])})" if spread is not None else "")
    return f"{si(value)}{unit}"


def short(milliseconds: float) -> str:
    """Four digits: ``0.571``, ``59.35``, ``261.8``, ``1235``."""
    digits = next((digits for limit, digits in ((10, 3), (100, 2), (1000, 1)) if milliseconds < limit), 0)
    return f"{milliseconds:.{digits}f}"
