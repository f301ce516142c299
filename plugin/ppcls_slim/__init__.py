"""Compression of networks: a ``Slim`` section in PaddleClas's YAML, or functions in any training loop (docs/api.md).

Nothing here imports Paddle until it is used.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from .common.backbones import register_backbone
from .common.callable_rooms import make_rooms_callable
from .common.errors import SlimError

if TYPE_CHECKING:
    from .api.benchmarking import Measurements, benchmark
    from .api.exporting import Exports, export
    from .api.loading import load
    from .api.planning import Plan, plan
    from .api.pruning import prune
    from .api.quantizing import quantize
    from .api.saving import save
    from .api.verifying import ExportAgreement, verify
    from .verify.equivalence import Equivalence

__version__ = "0.1.0"
__all__ = [
    "Equivalence",
    "ExportAgreement",
    "Exports",
    "Measurements",
    "Plan",
    "SlimError",
    "__version__",
    "benchmark",
    "export",
    "load",
    "plan",
    "prune",
    "quantize",
    "register_backbone",
    "save",
    "verify",
]

_PLACES = {
    "Equivalence": "verify.equivalence",
    "ExportAgreement": "api.verifying",
    "Exports": "api.exporting",
    "Measurements": "api.benchmarking",
    "Plan": "api.planning",
    "benchmark": "api.benchmarking",
    "export": "api.exporting",
    "load": "api.loading",
    "plan": "api.planning",
    "prune": "api.pruning",
    "quantize": "api.quantizing",
    "save": "api.saving",
    "verify": "api.verifying",
}


make_rooms_callable(sys.modules[__name__], _PLACES)  # prune and verify are rooms, too


def __getattr__(name: str) -> Any:
    """Import what is asked for, and Paddle with it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(importlib.import_module(f".{_PLACES[name]}", __name__), name)
    return globals().get(name, found)  # a room of the name, which importing made callable


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
