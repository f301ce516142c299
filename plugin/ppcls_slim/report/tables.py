"""Plain-text tables, for terminals and logs alike."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Optional

from prettytable import PrettyTable

from ..prune.plan import Decision, Plan


def plan_table(plan: Plan) -> str:
    """Return a table with one line for each group of channels, then the layers that are not pruned and the totals."""
    table = PrettyTable(["layer", "channels", "kept", "removed", "goes together with", "note"])
    table.align = "l"
    for column in ("channels", "kept", "removed"):
        table.align[column] = "r"
    for decision in plan.decisions:
        table.add_row(_row(decision))
    lines = [table.get_string()]
    reasons = [f"  {layer}: {reason}" for layer, reason in plan.frozen.items()]
    unreached = plan.flops.get("unreached", 0) / plan.flops["dense"]  # plans of older versions do not say
    if unreached > 0:
        reasons.append(
            f"  linear layers with {100 * unreached:.1f} % of the FLOPs: widths of attention and MLPs stay"
        )
    if reasons:
        lines += ["not pruned, and why:", *reasons]
    lines.append(summary(plan))
    if plan.latency is not None:
        lines.append(str(plan.latency))
    return "\n".join(lines)


def summary(plan: Plan) -> str:
    """Return the totals in one line; FLOPs are multiply-accumulates, see :mod:`ppcls_slim.prune.flops`."""
    flops, parameters = plan.flops, plan.parameters
    return (
        f"{plan.criterion}: FLOPs {si(flops['dense'])} -> {si(flops['pruned'])} "
        f"(-{100 * plan.pruned_flops:.1f} %), parameters {si(parameters['dense'])} -> {si(parameters['pruned'])} "
        f"(-{100 * (1 - parameters['pruned'] / parameters['dense']):.1f} %), at {list(plan.input_shape)}, "
        f"channels in multiples of {plan.align} ({plan.align_reason})"
    )


def _row(decision: Decision) -> list[str]:
    first, *others = decision.layers or (decision.root_weight,)
    together = ", ".join(others[:3]) + (f" and {len(others) - 3} more" if len(others) > 3 else "")
    kept = len(decision.kept)
    share = f"{100 * (1 - kept / decision.prunable_channels):.0f} %"
    return [first, str(decision.prunable_channels), str(kept), share, together, decision.note]


@dataclass(frozen=True)
class Comparison:
    """One row of a comparison: a figure of the model before compression, and of the compressed one.

    Attributes:
        what: what is compared.
        before: figure of the model that was compressed; None where it is not known.
        after: figure of the compressed model; None where it is not known.
        unit: ``%``, ``ms``, ``B``, or empty for a count.
    """

    what: str
    before: Optional[float]
    after: Optional[float]
    unit: str = ""


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
        table.add_row([row.what, _value(row.before, row.unit), _value(row.after, row.unit), ratio])
    return table.get_string()


def _value(value: Optional[float], unit: str) -> str:
    if value is None:
        return "-"
    if unit == "%":
        return f"{value:.2f} %"
    if unit == "ms":
        return f"{value:.3f} ms"
    return f"{si(value)}{unit}"


def si(number: float) -> str:
    """``4351000000`` -> ``4.351 G``."""
    for factor, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= factor:
            return f"{number / factor:.3f} {letter}"
    return f"{number:g} "
