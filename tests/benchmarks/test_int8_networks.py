"""Small networks compute in every engine what was trained; those that once did not, and drawn ones."""

from __future__ import annotations

import pytest
from benchmarks.robustness.int8_networks import campaign, findings
from benchmarks.robustness.int8_networks.draw import draw
from benchmarks.robustness.int8_networks.known import KNOWN

pytestmark = pytest.mark.paddle26

SLOW_AND_ALWAYS_RIGHT = ("float, plain", "int8, reference run")


@pytest.fixture(scope="module")
def parted():
    """Name of a known network -> what parted: one process for all of them, since it takes longest to start."""
    names = {str(spec): name for name, spec in KNOWN.items()}
    found: dict[str, list[str]] = {}
    for finding in findings([*KNOWN.values()], skip=SLOW_AND_ALWAYS_RIGHT):
        found.setdefault(names[str(finding.spec)], []).append(f"{finding.way}: {finding.what}")
    return found


@pytest.mark.parametrize("name", KNOWN)
def test_a_network_that_once_parted_is_right(name, parted):
    assert parted.get(name, []) == []


def test_the_same_seed_draws_the_same_networks():
    assert draw(3, 5) == draw(3, 5)
    assert draw(3, 5) != draw(4, 5)


@pytest.mark.slow
def test_drawn_networks_are_right():
    assert [str(finding) for finding in campaign(seed=7, count=25)] == []
