"""Plot what quantizing each layer costs."""

from __future__ import annotations

from pathlib import Path

from ..common.atomic import atomic_path
from ..quant.costly_layers import Sensitivity

MOST = 40


def sensitivity_plot(found: Sensitivity, folder: Path) -> Path:
    """Write ``quant_sensitivity.png``: the errors of the most costly layers, and accuracy by layers left float.

    Args:
        found: what was measured.
        folder: where the file goes.

    Returns:
        The path of the file.
    """
    # Start-up time: only plots need matplotlib.
    from matplotlib.figure import Figure

    ranking = found.ranking()[:MOST]
    figure = Figure(figsize=(12, max(3.0, 0.22 * len(ranking) + 1)), layout="constrained")
    bars, curve = figure.subplots(1, 2)
    colors = ["tab:orange" if name in found.chosen else "tab:blue" for name in ranking]
    bars.barh(range(len(ranking)), [found.errors[name] for name in ranking], color=colors)
    bars.set_yticks(range(len(ranking)), ranking, fontsize="x-small")
    bars.invert_yaxis()
    bars.set(xscale="log", xlabel="relative squared error of the outputs", title="quantized alone (orange: float)")
    counts = sorted(found.top1)
    curve.plot(counts, [100 * found.top1[count] for count in counts], marker="o")
    curve.axhline(100 * found.float_top1, linestyle="--", color="gray", label="float")
    curve.set(xlabel="layers left float", ylabel="top-1 in %", title="accuracy before training")
    curve.legend()
    picture = folder / "quant_sensitivity.png"
    with atomic_path(picture) as writing:
        figure.savefig(writing, format="png", dpi=110)
    return picture
