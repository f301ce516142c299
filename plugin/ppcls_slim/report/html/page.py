"""From records to one HTML file: the templates lie in ``templates/``, and nothing is fetched from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Optional

import yaml

from ...common.atomic import write_text
from . import charts, figures
from .compare import differences, legend
from .record import PAGE, Record

if TYPE_CHECKING:
    from jinja2 import Environment

SHOWN = 16
"""Rows of a long table; the rest is behind a disclosure triangle."""


def write_page(record: Record, folder: Path) -> Path:
    """Write ``report.html`` into a folder, atomically; return its path."""
    path = folder / PAGE
    write_text(path, render(record))
    return path


def render(record: Record) -> str:
    """Return the page of one run."""
    ways = record.export.ways if record.export is not None else []
    return (
        _environment()
        .get_template("run.html")
        .render(
            record=record,
            export=record.export,
            most=max((width.before for width in record.widths), default=0),
            notes=any(width.note for width in record.widths),
            importance=any(width.importance for width in record.widths),
            steps=sum(bool(stage.step) for stage in record.stages),
            title=f"{record.arch}: {figures.subtitle(record)}",
            headlines=figures.headlines(record),
            engines=figures.targets_of(ways),
            warnings=figures.all_warnings(record),
            scatter=charts.scatter(figures.points_of(record)),
            worst=charts.most_sensitive(record.sensitivity),
            strongest=charts.alpha_scale(record.alpha),
            costly=_costly(record),
            slim=_yaml({"Slim": record.slim}) if record.slim else "",
        )
    )


def render_comparison(records: Sequence[Record], links: Sequence[Optional[str]]) -> str:
    """Return one page of several runs.

    Args:
        records: that can be compared, see :func:`.compare.check_comparable`.
        links: of each the address of its own page, or None where there is none.
    """
    names = legend(records)
    points = [
        point
        for number, (record, name) in enumerate(zip(records, names))
        for point in figures.points_of(record, f"s{number % 6}", f"{name}: ")
    ]
    return (
        _environment()
        .get_template("comparison.html")
        .render(
            title=f"{len(records)} runs side by side",
            runs=list(zip(names, records, links)),
            scatter=charts.scatter([(*point[:4], "") for point in points]),
            curves=charts.curves_of_runs(dict(zip(names, records))),
            differences=differences(records),
            machines=len({tuple(sorted(record.machine.items())) for record in records}),
        )
    )


def _costly(record: Record) -> Sequence[tuple[str, float]]:
    found = record.quant_sensitivity
    return [] if found is None else sorted(found.errors.items(), key=lambda item: -item[1])


def _yaml(content: Mapping[str, object]) -> str:
    return str(yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=72))


def _environment() -> Environment:
    # Start-up time: only this page needs jinja2.
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def plot(draw: object, *arguments: object) -> object:
        drawn = draw(*arguments) if callable(draw) else draw
        return None if drawn is None else Markup(drawn)

    environment = Environment(
        loader=PackageLoader("ppcls_slim.report.html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        figures=figures,
        shown=SHOWN,
        plot=plot,
        loss_plot=partial(plot, charts.loss_plot),
        accuracy_plot=partial(plot, charts.accuracy_plot),
        learning_rate_plot=partial(plot, charts.learning_rate_plot),
        widths_plot=partial(plot, charts.widths_plot),
        sensitivity_plot=partial(plot, charts.sensitivity_plot),
        quant_plot=partial(plot, charts.quant_plot),
        importance_strip=partial(plot, charts.importance_strip),
        alpha_strip=partial(plot, charts.alpha_strip),
    )
    return environment
