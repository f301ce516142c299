"""Latency with its spread, and machines that are busy with other things."""

from __future__ import annotations

import re
import subprocess
import sys
import time

import numpy as np
import pytest

from ppcls_slim.deploy import busy, timing
from ppcls_slim.deploy.timing import Latency, measure
from ppcls_slim.report.tables import Comparison, comparison_table


def test_a_latency_is_the_median_between_percentiles():
    found = Latency.of(np.arange(1, 102) / 1e3)
    assert (found.median_ms, found.p10_ms, found.p90_ms) == pytest.approx((51.0, 11.0, 91.0))
    assert str(found) == "51.00 (11.00..91.00)"


def test_one_interruption_is_no_variation():
    assert Latency.of(np.array([0.001] * 99 + [1.0])).variation == pytest.approx(0.0)
    assert Latency.of(np.array([0.001, 0.002] * 50)).variation == pytest.approx(1 / 3)


def test_an_idle_machine_is_not_warned_of(monkeypatch):
    monkeypatch.setattr(busy.Watch, "_used_by_others", lambda watch: 0.2)
    assert measure([lambda: sum(range(1000))], 3).latencies[0].median_ms > 0


def test_a_busy_machine_is_said_with_what_others_use(monkeypatch):
    monkeypatch.setattr(busy.Watch, "_used_by_others", lambda watch: 1.5)
    monkeypatch.setattr(busy.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(timing, "MOST_VARIATION", 9.0)
    said = "other processes used 1.5 of 2 processors"
    assert measure([lambda: None], 3).warning == (
        f"latency was measured on a busy machine: {said}; measure again when it is idle"
    )


def test_a_latency_that_varies_is_said(monkeypatch):
    monkeypatch.setattr(busy.Watch, "others", lambda watch: None)
    waits = iter([0.001, 0.02] * 40)
    monkeypatch.setattr(timing, "ATTEMPTS", 1)
    warning = measure([lambda: time.sleep(next(waits))], 20).warning
    assert re.search(r"busy machine: a latency varies by \d+ % \(coefficient of variation\); measure again", warning)


def test_latencies_that_vary_are_measured_again_and_the_calmest_count(monkeypatch):
    monkeypatch.setattr(busy.Watch, "others", lambda watch: None)
    attempts = iter([np.array([[0.006, 0.001], [0.001, 0.001]]), np.array([[0.002, 0.001], [0.002, 0.001]])])
    monkeypatch.setattr(timing, "timings", lambda runs, times: next(attempts))
    measured = measure([lambda: None] * 2, 2)
    assert [one.median_ms for one in measured.latencies] == pytest.approx([2.0, 1.0])
    assert measured.warning is None


def test_what_this_process_uses_is_not_of_others(monkeypatch):
    monkeypatch.setattr(busy, "_all_seconds", iter([100.0, 101.0]).__next__)
    monkeypatch.setattr(busy, "_own_seconds", iter([10.0, 11.0]).__next__)
    assert busy.Watch().others() is None


@pytest.mark.skipif(not busy.STAT.exists(), reason="this system has no /proc/stat: the load average is used")
def test_other_processes_are_seen():
    worker = subprocess.Popen([sys.executable, "-c", "while True: pass"])
    try:
        assert busy.Watch()._used_by_others() > 0.2
    finally:
        worker.kill()
        worker.wait()


def test_without_proc_stat_the_load_average_counts(monkeypatch, tmp_path):
    monkeypatch.setattr(busy, "STAT", tmp_path / "none")
    monkeypatch.setattr(busy, "SHORTEST", 0.0)
    monkeypatch.setattr(busy.os, "getloadavg", lambda: (64.0, 0.0, 0.0))
    assert "other processes used 63.0 of" in busy.Watch().others()


def test_the_table_of_results_has_the_spread():
    what = "latency, batch 64, one thread, ONNX Runtime"
    row = Comparison(what, 1234.5678, 59.353, "ms", (1200.0, 1300.0), (59.0, 60.1))
    shown = comparison_table([row], "dense", "pruned")
    assert "| 1235 ms (1200..1300) | 59.35 ms (59.00..60.10) | 0.048 |" in shown
    assert max(map(len, shown.splitlines())) <= 120
