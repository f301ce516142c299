"""The table paper against ours: the verdict's arithmetic, and the documentation shows what was measured."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "benchmarks" / "cifar10_repro"
sys.path.insert(0, str(FOLDER))
import table  # noqa: E402
from table_zh import in_chinese  # noqa: E402

PUBLISHED = json.loads((FOLDER / "published.json").read_text())["rows"]


@pytest.mark.parametrize(
    ("ours", "spread", "expected"),
    [
        ([91.0, 90.8], 0.1, True),  # mean 90.9, paper 91.0 - 0.1
        ([91.0, 90.78], 0.1, False),
        ([90.7], None, True),
        ([90.69], None, False),
        ([95.0], 0.1, True),
    ],
)
def test_reproduced_means_not_below_by_more_than_the_papers_spread(
    ours: list[float], spread: float | None, expected: bool
) -> None:
    assert table.reproduced(ours, 91.0, spread) is expected


def test_a_row_that_was_not_run_is_never_a_pass() -> None:
    assert table.line(PUBLISHED[0], []).endswith("| not yet run |")


def test_an_unfinished_run_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(json.dumps({"row": "r20-dense", "best_top1": 99.0}))
    assert table.load(tmp_path) == {}


def test_the_result_is_the_last_epoch_and_the_curve_is_complete() -> None:
    for records in table.load(FOLDER / "results").values():
        for record in records:
            curve = record["curve"]["test_top1"]
            assert record["epochs_done"] == record["recipe"]["epochs"] == len(curve) == 200
            # Full float32 against the precision of training: at 2 bits, values close to a threshold
            # fall to its other side and the difference runs through the network.
            allowed = 0.5 if record["spec"]["bits"] == 2 else 0.2
            assert abs(record["final_top1"] - curve[-1]) <= allowed, record["name"]


def test_the_documentation_shows_this_table() -> None:
    rows = table.load(FOLDER / "results")
    page = (ROOT / "docs" / "reproduction.md").read_text()
    chinese = (ROOT / "docs" / "reproduction.zh.md").read_text()
    for published in PUBLISHED:
        line = table.line(published, rows.get(published["row"], []))
        assert line in page, published["claim"]
        assert in_chinese(line) in chinese, published["claim"]
