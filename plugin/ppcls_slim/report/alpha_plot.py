"""Plot the clipping levels of PACT or LSQ over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from ..common.atomic import atomic_path

IN_LEGEND = 12
"""Layers that a legend has room for; of more layers it names the first and the last."""


def alpha_plot(history: Mapping[str, Sequence[Sequence[float]]], folder: Path) -> Path:
    """Write ``alpha.png`` with a line for each layer, from the first layer (dark) to the last (light).

    Args:
        history: layer -> ``[[epoch, alpha], ...]``, as in the sidecar file of a checkpoint.
        folder: where the file goes.

    Returns:
        The path of the file.
    """
    # Start-up time: only this plot needs matplotlib.
    from matplotlib import colormaps
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot()
    for number, (layer, values) in enumerate(history.items()):
        epochs, alphas = zip(*values)
        color = colormaps["viridis"](number / max(len(history) - 1, 1))
        axes.plot(epochs, alphas, marker=".", color=color, label=layer)
    axes.set(xlabel="epoch", ylabel="alpha", title=f"clipping levels of {len(history)} layers")
    axes.set_ylim(bottom=0)
    axes.xaxis.get_major_locator().set_params(integer=True)
    lines = axes.lines if len(history) <= IN_LEGEND else [axes.lines[0], axes.lines[-1]]
    figure.legend(handles=list(lines), fontsize="small", loc="outside right upper")
    picture = Path(folder) / "alpha.png"
    with atomic_path(picture) as writing:
        figure.savefig(writing, format="png", dpi=120)
    return picture
