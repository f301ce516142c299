"""The curve of Paddle's own run is what PaddleClas logged."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[2] / "benchmarks" / "cifar10_paddle"
sys.path.insert(0, str(FOLDER))
import curve  # noqa: E402

LOG = """\
[2026/01/01 10:00:00] ppcls INFO: something else, top1: 0.5
[2026/01/01 10:00:00] ppcls INFO: [Train][Epoch 1/2][Iter: 0/390]lr(CosineAnnealingDecay): 0.01000000, \
top1: 0.52344, CELoss: 2.44588, loss: 2.44588, batch_cost: 0.67901s
[2026/01/01 10:04:00] ppcls INFO: [Train][Epoch 1/2][Avg]top1: 0.82304, CELoss: 0.54004, loss: 0.54004
[2026/01/01 10:04:10] ppcls INFO: [Eval][Epoch 1][Iter: 0/100]CELoss: 0.43813, loss: 0.43813, top1: 0.80000
[2026/01/01 10:04:20] ppcls INFO: [Eval][Epoch 1][Avg]CELoss: 0.44805, loss: 0.44805, top1: 0.85040
"""


def test_a_log_becomes_rows_and_a_picture(tmp_path):
    rows = curve.read(LOG, start=12.75)
    values = [tuple(row.get(column, "") for column in curve.COLUMNS) for row in rows]
    assert values == [
        ("0", "0", "", "", "", "12.75"),
        ("1", "0", "0.01000000", "2.44588", "52.34", ""),
        ("1", "390", "", "0.54004", "82.30", "85.04"),
    ]
    curve.draw(rows, tmp_path / "curve.png", 91.73, "a run")
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")
