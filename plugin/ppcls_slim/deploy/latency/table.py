"""The table of layer latencies on disk: a JSON file for each machine, engine, number of threads and so on."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

from ...common.atomic import write_json
from ...prune.latency.meter import LayerPoint, Place

FORMAT = 1
FOLDER = "PPCLS_SLIM_CACHE"
"""Environment variable: where tables lie, instead of ``~/.cache/ppcls_slim``."""


class Table:
    """Milliseconds of layers that were measured before.

    A file that cannot be read is written anew; one that cannot be written is told by the first error that writing
    raises.

    Args:
        place: the engine.
    """

    def __init__(self, place: Place):
        self._key = {**place.__dict__, "cpu": cpu_name()}
        self.path = cache_folder() / "latency" / f"{_file_name(self._key.values())}.json"
        self._layers = self._read()

    def get(self, point: LayerPoint) -> Optional[float]:
        """Return the milliseconds of a layer, None where it was not measured."""
        return self._layers.get(str(point.shape), {}).get(_widths(point))

    def add(self, times: Mapping[LayerPoint, float]) -> None:
        """Keep what was measured, beside what other processes have written since."""
        layers = self._read()
        for shape, own in self._layers.items():
            layers.setdefault(shape, {}).update(own)
        for point, milliseconds in times.items():
            layers.setdefault(str(point.shape), {})[_widths(point)] = round(milliseconds, 6)
        self._layers = layers
        write_json(self.path, {"format": FORMAT, "key": self._key, "milliseconds": layers})

    def _read(self) -> dict[str, dict[str, float]]:
        try:
            content = json.loads(self.path.read_bytes())
            if content["format"] != FORMAT or content["key"] != self._key:
                return {}
            return {
                str(shape): {str(widths): float(value) for widths, value in own.items()}
                for shape, own in content["milliseconds"].items()
            }
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return {}


def cache_folder() -> Path:
    """Where what was measured is kept."""
    own, common = os.environ.get(FOLDER), os.environ.get("XDG_CACHE_HOME")
    return Path(own) if own else (Path(common) if common else Path.home() / ".cache") / "ppcls_slim"


def cpu_name() -> str:
    """Name of the CPU with family, model and stepping, where the system tells them."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return platform.processor() or platform.machine()
    told = dict(re.findall(r"^(model name|cpu family|model|stepping)\s*: (.*)$", text, re.MULTILINE))
    return " ".join([told.pop("model name", platform.machine()), *(f"{key} {told[key]}" for key in sorted(told))])


def _widths(point: LayerPoint) -> str:
    return f"{point.inputs}x{point.outputs}"


def _file_name(words: object) -> str:
    return re.sub(r"[^A-Za-z0-9.]+", "-", "-".join(map(str, words)))  # type: ignore[call-overload]
