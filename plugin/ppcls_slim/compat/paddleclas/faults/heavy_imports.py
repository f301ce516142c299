"""Packages that few trainings use are imported by all of them.

Symptom: importing PaddleClas takes four seconds of CPU time, three of them scikit-learn with pandas and SciPy (for
multi-label metrics, AdaFace and FMix), one matplotlib (for a loss that draws), some visualdl.
Versions: PaddleClas 2.4.2 to develop.
Delete when: PaddleClas imports them where it uses them.
"""

from __future__ import annotations

import importlib
from types import ModuleType

from ...deferred import deferred

PACKAGES = ("sklearn", "scipy", "matplotlib", "visualdl")


def import_lightly(name: str) -> ModuleType:
    """Import a module of PaddleClas, and those packages when it first uses one."""
    with deferred(PACKAGES):
        return importlib.import_module(name)
