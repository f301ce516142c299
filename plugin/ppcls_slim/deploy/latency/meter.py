"""Measures layers and networks on an engine of this machine."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Optional

import numpy as np

from ...compat.engine_versions import engine_with_version
from ...config.prune import OnConfig
from ...prune.latency.meter import LayerPoint, Place
from ...prune.slices import SlicePlan
from ..job import ExportJob
from ..optional import needs
from ..target import Target, find_target
from .clock import milliseconds
from .frame import frame_key
from .layer_runs import Run, open_layers
from .table import Table

KEY = "Slim.prune.on.engine"
LAYER_RUNS = 15
NETWORK_SECONDS = 6.0
"""How long a network and the dense one are timed in turns, at most."""
MOST_RUNS, FEWEST_RUNS = 100, 9
AT_ONCE = 48
"""Layers that are timed in turns, at most."""


class EngineMeter:
    """Measures on one engine, with CPU threads; implements :class:`ppcls_slim.prune.latency.meter.LatencyMeter`.

    Args:
        on: the engine.
        job_of: describes the export of the model without some channels (None: the dense one) to a folder.
        input_shape: ``[C, H, W]``.
        tell: shows the user a line.

    Raises:
        SlimError: packages of the engine are not installed.
    """

    def __init__(
        self,
        on: OnConfig,
        engine: str,
        job_of: Callable[[Optional[SlicePlan], Path], ExportJob],
        input_shape: Sequence[int],
        tell: Callable[[str], None],
    ):
        with needs(engine, KEY):
            name = engine_with_version(engine)
        self.place = Place(name, on.threads, on.batch, "fp32")
        self._engine, self._job_of, self._tell = engine, job_of, tell
        self._target: Target = find_target(engine)
        self._images = np.random.default_rng(0).standard_normal([on.batch, *input_shape], dtype=np.float32)
        self._table = Table(self.place)
        self._dense: Optional[Run] = None

    def layers(self, points: Sequence[Sequence[LayerPoint]]) -> dict[LayerPoint, float]:
        """Measure layers, or look them up; see :class:`ppcls_slim.prune.latency.meter.LatencyMeter`."""
        known = {point: self._table.get(point) for row in points for point in row}
        missing = [point for point, value in known.items() if value is None]
        if missing:
            self.say(f"{len(missing)} layers are timed on {self.place} (kept in {self._table.path})")
        for start in range(0, len(missing), AT_ONCE):
            part = missing[start : start + AT_ONCE]
            times = self._time(part)
            self._table.add(times)
            known.update(times)
            if start + AT_ONCE < len(missing):
                self.say(f"{start + len(part)} of {len(missing)} layers")
        return {point: float(value) for point, value in known.items() if value is not None}

    def network(self, slices: SlicePlan) -> tuple[float, float]:
        """Export and time; see :class:`ppcls_slim.prune.latency.meter.LatencyMeter`."""
        if self._dense is None:
            self._dense = self._runner(None)
        runs = [self._dense, self._runner(slices)]
        first = sum(milliseconds(runs, 1, self.place.threads))
        times = int(np.clip(NETWORK_SECONDS * 1e3 / max(first, 1e-3), FEWEST_RUNS, MOST_RUNS))
        dense, pruned = milliseconds(runs, times, self.place.threads)
        return dense, pruned

    def say(self, text: str) -> None:
        """Show a line."""
        self._tell(f"ppcls_slim: {text}")

    def _runner(self, slices: Optional[SlicePlan]) -> Run:
        with tempfile.TemporaryDirectory() as scratch:
            folder = Path(scratch) / "network"
            folder.mkdir()
            job = replace(self._job_of(slices, folder), scratch=Path(scratch) / "parts")
            self._target.write(job, folder)
            run = self._target.load(folder, "cpu", self.place.threads, "auto")
        return lambda: run(self._images)

    def _time(self, points: Sequence[LayerPoint]) -> dict[LayerPoint, float]:
        frames = {frame_key(point): point for point in points}
        batch, threads = self.place.batch, self.place.threads
        runs = open_layers(self._engine, points, batch, threads, alone=False)
        runs += open_layers(self._engine, list(frames.values()), batch, threads, alone=True)
        taken = milliseconds(runs, LAYER_RUNS, threads)
        around = dict(zip(frames, taken[len(points) :]))
        return {point: max(0.0, value - around[frame_key(point)]) for point, value in zip(points, taken)}
