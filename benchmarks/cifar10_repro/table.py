"""Print the table paper against ours, in Markdown, from the JSON records of ``train.py``.

Usage: python table.py [--chinese] [results]

A row is reproduced when our mean is not below the paper's by more than the paper's own spread, or
than 0.3 points where the paper gives none. The result of a run is its last epoch, never its best.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

from table_zh import HEAD, in_chinese

TOLERANCE = 0.3


def reproduced(ours: list[float], published: float, spread: float | None) -> bool:
    """Return whether the mean of our runs is within the paper's spread below its mean, or above."""
    allowed = TOLERANCE if spread is None else spread
    return sum(ours) / len(ours) >= published - allowed - 1e-9


def load(folder: Path) -> dict[str, list[dict]]:
    """Return row -> records of its finished runs, by seed."""
    rows: dict[str, list[dict]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        record = json.loads(path.read_text())
        if "final_top1" in record:
            rows[record["row"]].append(record)
    return rows


def line(published: dict, records: list[dict]) -> str:
    """Return one line of the table; a row without finished runs says so and is never a pass."""
    spread = "" if published["spread"] is None else f" ± {published['spread']:.2f}"
    paper = f"{published['top1']:.2f}{spread}"
    if not records:
        return f"| {published['row']} | {published['claim']} | {paper} | – | – | not yet run |"
    tops = [record["final_top1"] for record in records]
    mean, verdict = sum(tops) / len(tops), reproduced(tops, published["top1"], published["spread"])
    ours = f"**{mean:.2f}** ({', '.join(f'{top:.2f}' for top in tops)})"
    cells = [published["row"], published["claim"], paper, ours, f"{mean - published['top1']:+.2f}"]
    return "| " + " | ".join([*cells, "reproduced" if verdict else "not reproduced"]) + " |"


def main() -> None:
    given = [argument for argument in sys.argv[1:] if argument != "--chinese"]
    chinese = "--chinese" in sys.argv
    rows = load(Path(given[0]) if given else Path(__file__).parent / "results")
    print(HEAD if chinese else "| row | the paper's claim | paper | ours: mean (seeds) | difference | |")
    print("| --- | --- | --- | --- | --- | --- |")
    for published in json.loads((Path(__file__).parent / "published.json").read_text())["rows"]:
        text = line(published, rows.get(published["row"], []))
        print(in_chinese(text) if chinese else text)


if __name__ == "__main__":
    main()
