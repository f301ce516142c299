"""Print what ``measure.py`` wrote, a line for each row and its seeds, beside published rows of the same speed-up.

python -m benchmarks.cifar10_pruned.table results/measured.csv --latency results/latency.csv
"""

from __future__ import annotations

import argparse
import csv
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path
from statistics import mean, stdev

from prettytable import PrettyTable

COLUMNS = (
    "row",
    "MACs",
    "times fewer",
    "seeds",
    "epochs",
    "mean of last epochs",
    "in Paddle, last weights",
    "faster",
)


def read(file: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines))


def spread(values: Iterable[float]) -> str:
    """Return mean and sample deviation, ``93.81 ± 0.12``."""
    found = list(values)
    return f"{mean(found):.2f}" + (f" ± {stdev(found):.2f}" if len(found) > 1 else "")


def rows_of(measured: list[dict[str, str]], faster: dict[str, str]) -> list[list[str]]:
    """Return a row for every name without its seed; the last measurement of a name counts.

    Args:
        measured: rows of ``measure.py``.
        faster: plan -> speed-up that ``latency.py`` measured.
    """
    by_row: dict[str, list[dict[str, str]]] = defaultdict(list)
    for run in {run["name"]: run for run in measured}.values():
        by_row[re.sub(r"-s\d+$", "", run["name"])].append(run)
    return [
        [
            name,
            f"{int(runs[0]['macs']) / 1e6:.1f} M",
            f"{float(runs[0]['ratio']):.2f}",
            str(len(runs)),
            runs[0]["epochs"],
            spread(float(run["last_top1"]) for run in runs),
            spread(float(run["paddle_top1"]) for run in runs),
            faster.get(runs[0]["plan"], ""),
        ]
        for name, runs in by_row.items()
    ]


def published_rows(file: Path) -> list[list[str]]:
    """Return the published rows of CIFAR-10 that name a speed-up, in the columns of the table."""
    return [
        [
            f"{row['method']}, {row['model']}",
            "",
            f"{float(row['macs_ratio']):.2f}",
            "",
            "",
            row["pruned_top1"],
            "",
            "",
        ]
        for row in read(file)
        if row["dataset"] == "CIFAR-10" and row["macs_ratio"]
    ]


def main() -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("measured", type=Path, help="measured.csv")
    parser.add_argument("--published", type=Path, default=Path("../shared/published/pruning_peers.csv"))
    parser.add_argument("--latency", type=Path, help="what latency.py wrote")
    options = parser.parse_args()
    faster = {row["plan"]: row["speed_up"] for row in read(options.latency)} if options.latency else {}
    rows = rows_of(read(options.measured), faster)
    if options.published.exists():
        rows += published_rows(options.published)
    table = PrettyTable(COLUMNS)
    table.align = "r"
    table.align["row"] = "l"
    table.add_rows(sorted(rows, key=lambda row: float(row[2])))
    print(table)


if __name__ == "__main__":
    main()
