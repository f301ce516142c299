"""Criteria from other packages."""

from __future__ import annotations

import importlib.metadata

import numpy as np
import pytest
from small_models import two_convolutions

from ppcls_slim.common.registry import Registry
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune import importance
from ppcls_slim.prune.planning import make_plan

pytestmark = pytest.mark.paddle26


def test_a_criterion_can_come_from_another_package(monkeypatch):
    """By entry point: chosen in the YAML by name, without a change here."""
    last = importance.Criterion(
        "last_first", lambda weight, rows: -np.arange(len(weight), dtype=float)[slice(None) if rows is None else rows]
    )

    class Point:
        value = "somewhere:LAST"

        def load(self):
            return last

    monkeypatch.setattr(Registry, "entry_points", lambda self: {"last_first": Point()})
    plan = make_plan(two_convolutions(), PruneConfig(name="last_first", pruned_ratio=0.5, align=1), [3, 10, 10])
    assert [d.kept for d in plan.decisions] == [(0, 1, 2, 3), (0, 1, 2)]


def test_the_group_of_entry_points_can_be_listed_on_this_python():
    assert isinstance(importlib.metadata.entry_points(), object)
    assert all(isinstance(name, str) for name in importance.CRITERIA.entry_points())
