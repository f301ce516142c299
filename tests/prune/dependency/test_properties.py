"""Whatever is built from the usual pieces, and from unusual ones: the analysis is right about it."""

from __future__ import annotations

import pytest

paddle = pytest.importorskip("paddle")

from benchmarks.pruning.campaign import campaign, double_precision, tried  # noqa: E402
from benchmarks.pruning.networks import INLINE, NAMES, Drawn  # noqa: E402
from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402

from ppcls_slim.prune.dependency import analyse  # noqa: E402

pytestmark = pytest.mark.paddle26
SETTINGS = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


def plans(names):
    return st.lists(st.tuples(st.sampled_from(names), st.integers(0, 23)), min_size=1, max_size=7)


@settings(SETTINGS, max_examples=40)
@given(plan=plans([*INLINE, "excite", "pick"]), seed=st.integers(0, 3))
def test_usual_networks(plan, seed):
    _check(plan, seed)


@settings(SETTINGS, max_examples=40)
@given(plan=plans(NAMES), seed=st.integers(0, 3))
def test_unusual_networks(plan, seed):
    """With numbers computed from widths, weights in two places, weights that are computed, branches of the code."""
    _check(plan, seed)


def _check(plan, seed):
    with double_precision():
        fault, _ = tried(plan, seed)
        assert fault is None
        model = Drawn(plan)
        grouping = analyse(model, [3, 6, 6], "float64")
    assert {grouping.frozen[name] for name in model.heads()} <= {"an output of the model"}
    pruned = {f"{member.param}:{member.axis}" for group in grouping.groups for member in group.members}
    for i, part in enumerate(model.parts):  # every convolution is in a group or has a reason
        if isinstance(part, paddle.nn.Conv2D):
            assert (f"parts.{i}.weight:0" in pruned) != (f"parts.{i}" in grouping.frozen)


def test_a_campaign_says_what_it_tried():
    report = campaign(seed=1, count=3, seconds=60)
    assert (report.networks, report.faults) == (3, [])
    assert report.largest_error < 1e-10
