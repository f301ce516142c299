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
        assert not tried(plan, seed).fault
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


FOUND = {
    "halves that stayed equal in every trial": ([("part", 15), ("split", 20)], 200932),
    "a half that was counted by an attribute of the same value": ([("part", 16), ("split", 10)], 701979),
    "another position of the same label": ([("grouped", 23), ("pick", 15), ("part", 14)], 200469),
    "a first channel that no trial removed": ([("channels last", 17), ("pick", 20), ("part", 7)], 704230),
    "a number behind a group of two": (
        [("shuffle", 11), ("depthwise", 10), ("add", 6), ("part", 10), ("counted", 6)],
        0,
    ),
}


@pytest.mark.parametrize(("plan", "seed"), FOUND.values(), ids=list(FOUND))
def test_what_campaigns_found(plan, seed):
    with double_precision():
        assert not tried(plan, seed).fault
