"""``Slim.report``: what is measured when training ends."""

from __future__ import annotations

from pydantic import Field

from .base import Count, Section


class ReportConfig(Section):
    """``Slim.report``: dense against compressed, as a table, when training ends."""

    batch_sizes: list[Count] = Field(
        default_factory=lambda: [1], min_length=1, description="Batch sizes that latency is measured with."
    )
    page: bool = Field(
        True,
        description=(
            "Write report.html and report.json into Global.output_dir; report: false writes neither, without "
            "Slim.report they are written without the export."
        ),
    )
    latency_runs: Count = Field(50, description="Timed runs of either exported model, one thread.")
