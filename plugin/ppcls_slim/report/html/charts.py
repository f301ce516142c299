"""The plots of the page, each from a part of the record to SVG; None where there is nothing to draw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Optional

from .record import Epoch, QuantSensitivity, Record, Stage
from .svg import Plot, element, log_ticks, strip, ticks, titled, whole_ticks

MOST_CELLS = 40
"""Columns of the heat map; of a longer training every n-th epoch is shown."""
FULL = 0.25
"""Relative change that has the strongest colour, unless some layer changes more."""

Points = list[tuple[float, float]]


def in_a_row(stages: Sequence[Stage]) -> tuple[list[tuple[int, Epoch]], list[tuple[int, str]]]:
    """Number the epochs of all stages in a row.

    Returns:
        ``(number, epoch)`` of every epoch, and ``(number of its first epoch, name)`` of every stage.
    """
    numbered: list[tuple[int, Epoch]] = []
    starts = []
    for stage in stages:
        starts.append((len(numbered) + 1, stage.label))
        numbered += [(len(numbered) + n, epoch) for n, epoch in enumerate(stage.epochs, 1)]
    return numbered, starts


def curve(record: Record, key: str, scale: float = 1.0) -> Points:
    """One figure of every epoch that has it."""
    numbered, _ = in_a_row(record.stages)
    values = [(float(number), getattr(epoch, key)) for number, epoch in numbered]
    return [(number, scale * value) for number, value in values if value is not None]


def training_plot(
    stages: Sequence[Stage], lines: Mapping[str, tuple[Points, str]], title: str, unit: str
) -> Optional[str]:
    """Lines over the epochs of all stages: name -> points and class."""
    shown = {name: line for name, line in lines.items() if line[0]}
    if not shown:
        return None
    numbered, starts = in_a_row(stages)
    across, values = zip(*(point for points, _ in shown.values() for point in points))
    last = max(2, len(numbered), int(max(across)))
    plot = Plot(
        title, _ending_with(whole_ticks(1, last), float(last)), ticks(min(values), max(values)), "epoch", unit
    )
    for start, name in starts[1:]:
        plot.mark_x(start - 0.5, name)
    for name, (points, kind) in shown.items():
        said = ", ".join(f"{y:.4g} ({x:g})" for x, y in points[-3:])
        plot.line(points, kind, f"{name}; last epochs: {said}")
    return plot.svg()


def _ending_with(values: Sequence[float], last: float) -> list[float]:
    """Let an axis end where its data end."""
    kept = [value for value in values if value < last - 0.4]
    step = values[1] - values[0] if len(values) > 1 else 1.0
    if len(kept) > 1 and last - kept[-1] < 0.6 * step:
        kept.pop()  # two numbers would overlap
    return [*kept, last]


def loss_plot(record: Record) -> Optional[str]:
    """Mean training loss of every epoch."""
    return training_plot(record.stages, {"loss": (curve(record, "loss"), "accent")}, "Training loss by epoch", "loss")


def accuracy_plot(record: Record) -> Optional[str]:
    """Accuracy on the training and the evaluation data."""
    lines = {
        "training data": (curve(record, "train", 100.0), "second"),
        "evaluation data": (curve(record, "evaluated", 100.0), "accent"),
    }
    return training_plot(record.stages, lines, f"{record.metric} by epoch", f"{record.metric} in %")


def learning_rate_plot(record: Record) -> Optional[str]:
    """Learning rate at the beginning of every epoch."""
    lines = {"learning rate": (curve(record, "learning_rate"), "accent")}
    return training_plot(record.stages, lines, "Learning rate by epoch", "learning rate")


def scatter(points: Sequence[tuple[float, float, str, str, str]]) -> Optional[str]:
    """Accuracy against latency.

    Args:
        points: (milliseconds, top-1 in percent, class, tooltip, text beside it).
    """
    if not points:
        return None
    times, accuracies = [point[0] for point in points], [point[1] for point in points]
    logarithmic = max(times) > 4 * min(times) > 0
    across = log_ticks(min(times) * 0.9, max(times) * 1.1) if logarithmic else ticks(0.0, max(times))
    up = ticks(min(accuracies) - 0.2, min(max(accuracies) + 0.2, 100.0))
    plot = Plot("Accuracy against latency", across, up, "latency of one image in ms", "top-1 in %", logarithmic)
    for milliseconds, top1, *_ in points:
        plot.reserve(milliseconds, top1)
    for milliseconds, top1, kind, title, label in points:
        plot.point(milliseconds, top1, kind, title, label, hollow=kind.endswith("dense"))
    return plot.svg()


def sensitivity_plot(losses: Mapping[str, Sequence[tuple[float, float]]]) -> Optional[str]:
    """What pruning each group costs: the layers that lose most are drawn in colour."""
    curves = {layer: sorted(points) for layer, points in losses.items() if points}
    if not curves:
        return None
    values = [100 * loss for points in curves.values() for _, loss in points]
    plot = Plot(
        "Loss of accuracy by pruned ratio, a line for each layer",
        ticks(0.0, 0.9),
        ticks(min(0.0, *values), max(values)),
        "ratio of pruned channels",
        "relative loss of top-1 in %",
    )
    worst = most_sensitive(curves)
    for layer in [*(one for one in curves if one not in worst), *worst]:
        points = [(ratio, 100 * loss) for ratio, loss in curves[layer]]
        said = ", ".join(f"{ratio:g}: {loss:.1f} %" for ratio, loss in points)
        plot.line(points, "accent" if layer in worst else "faint", f"{layer}; {said}")
    return plot.svg()


def most_sensitive(losses: Mapping[str, Sequence[tuple[float, float]]], count: int = 5) -> list[str]:
    """The layers that lose most accuracy over all ratios, the worst first."""
    mean = {layer: sum(loss for _, loss in points) / len(points) for layer, points in losses.items() if points}
    return sorted(mean, key=lambda layer: -mean[layer])[:count]


def quant_plot(found: QuantSensitivity) -> Optional[str]:
    """Accuracy by the number of layers left float, as ``Slim.quant.skip: auto`` measured it."""
    points = sorted((float(count), 100 * top1) for count, top1 in found.top1)
    if not points:
        return None
    reference = [] if found.float_top1 is None else [100 * found.float_top1]
    heights = [y for _, y in points] + reference
    across = whole_ticks(0, max(int(points[-1][0]), 1))
    plot = Plot("Accuracy by layers left float", across, ticks(min(heights), max(heights)), "layers left float")
    plot.x_ticks = _ending_with(across, max(points[-1][0], 1.0))
    plot.y_label = "top-1 in %, before training"
    for value in reference:
        plot.mark_y(value, "float model")
    plot.line(points, "accent", ", ".join(f"{x:g} float: {y:.2f} %" for x, y in points))
    return plot.svg()


def widths_plot(record: Record) -> Optional[str]:
    """A bar for each group: channels before, and in it those that are kept."""
    if not record.widths:
        return None
    most = max(width.before for width in record.widths)
    bars = []
    for number, width in enumerate(record.widths):
        before, after = width.before / most, width.after / most
        outer = element(
            "rect", x=number + 0.12, width=0.76, y=f"{1 - before:.4f}", height=f"{before:.4f}", class_="was"
        )
        inner = element("rect", x=number + 0.12, width=0.76, y=f"{1 - after:.4f}", height=f"{after:.4f}", class_="is")
        bars.append(titled(outer + inner, f"{width.layer}: {width.before} to {width.after} channels"))
    return strip(bars, f"Channels of {len(record.widths)} groups of layers, before and after", len(record.widths))


def importance_strip(importance: Sequence[float], kept: float) -> Optional[str]:
    """Sorted importance of the channels of a group; those that were pruned are faint.

    Args:
        importance: ascending, relative to the largest.
        kept: share of the channels that is kept.
    """
    if not importance:
        return None
    count = len(importance)
    bars = [
        element(
            "rect",
            x=n,
            width=0.9,
            y=f"{1 - value:.3f}",
            height=f"{value:.3f}",
            class_="is" if (n + 0.5) / count > 1 - kept else "was",
        )
        for n, value in enumerate(importance)
    ]
    return strip(bars, f"importance from {importance[0]:.2f} to {importance[-1]:.2f} of the largest", count)


def alpha_scale(alpha: Mapping[str, Sequence[tuple[int, float]]]) -> float:
    """The relative change that has the strongest colour."""
    changes = [abs(value) for points in alpha.values() for _, value in relative(points)]
    return max([FULL, *changes]) if max([0.0, *changes]) > FULL else max([0.01, *changes])


def relative(points: Sequence[tuple[int, float]]) -> list[tuple[int, float]]:
    """Change of a value since its first epoch, as a share of it."""
    start = points[0][1] if points else 0.0
    return [(epoch, value / start - 1.0) for epoch, value in points] if start else []


def alpha_strip(points: Sequence[tuple[int, float]], strongest: float) -> str:
    """One row of the heat map: the relative change of a layer's alpha, a cell for each epoch."""
    changes = relative(points)
    every = max(1, -(-len(changes) // MOST_CELLS))
    shown = changes[::-1][::every][::-1]  # always with the last epoch
    cells = [
        element(
            "rect",
            element("title", f"epoch {epoch}: {100 * change:+.1f} %"),
            x=n,
            width=1,
            height=1,
            class_="up" if change > 0 else "down",
            fill_opacity=f"{min(abs(change) / strongest, 1.0):.3f}",
        )
        for n, (epoch, change) in enumerate(shown)
    ]
    last = 100 * changes[-1][1] if changes else 0.0
    return strip(cells, f"change by epoch, {last:+.1f} % in the end", max(len(shown), 1))


def curves_of_runs(records: Mapping[str, Record]) -> Optional[str]:
    """Accuracy on the evaluation data by epoch, a line for each run."""
    lines = {
        name: (curve(record, "evaluated", 100.0), f"s{number % 6}")
        for number, (name, record) in enumerate(records.items())
    }
    return training_plot([], lines, "Accuracy by epoch, a line for each run", "top-1 in %")
