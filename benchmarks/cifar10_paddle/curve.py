"""Turn PaddleClas's ``train.log`` into a CSV and a picture of the curve.

    python benchmarks/cifar10_paddle/curve.py output/resnet20_prune/CifarResNet20/train.log resnet20_prune30 \
        --start 12.75 --dense 91.73

Writes ``NAME.csv`` and ``NAME.png`` beside this file. Loss and training accuracy are means over the epoch so far,
as PaddleClas logs them; the last line of an epoch holds the accuracy on the 10,000 test images.
"""

from __future__ import annotations

import argparse
import csv
import re
from pathlib import Path

STEP = re.compile(
    r"\[Train\]\[Epoch (?P<epoch>\d+)/\d+\]\[Iter: (?P<step>\d+)/(?P<steps>\d+)\]"
    r"lr\(\w+\): (?P<learning_rate>[\d.]+), top1: (?P<train_top1>[\d.]+), CELoss: (?P<train_loss>[\d.]+)"
)
MEAN = re.compile(
    r"\[Train\]\[Epoch (?P<epoch>\d+)/\d+\]\[Avg\]top1: (?P<train_top1>[\d.]+), CELoss: (?P<train_loss>[\d.]+)"
)
TEST = re.compile(r"\[Eval\]\[Epoch (?P<epoch>\d+)\]\[Avg\].*top1: (?P<test_top1>[\d.]+)")
COLUMNS = ("epoch", "step", "learning_rate", "train_loss", "train_top1", "test_top1")


def read(log: str, start: float | None = None) -> list[dict[str, str]]:
    """Return the rows of the CSV; accuracies in percent.

    Args:
        log: text of ``train.log``.
        start: test accuracy before the first step, in percent.
    """
    rows: list[dict[str, str]] = []
    if start is not None:
        rows.append({"epoch": "0", "step": "0", "test_top1": f"{start:.2f}"})
    steps = 0
    for line in log.splitlines():
        if found := STEP.search(line):
            steps = int(found["steps"])
            rows.append({column: found[column] for column in COLUMNS[:-1]})
        elif found := MEAN.search(line):
            rows.append({"step": str(steps), **found.groupdict()})
        elif found := TEST.search(line):
            rows[-1]["test_top1"] = f"{100 * float(found['test_top1']):.2f}"
        else:
            continue
        if found.re is not TEST:
            rows[-1]["train_top1"] = f"{100 * float(found['train_top1']):.2f}"
    return rows


def draw(rows: list[dict[str, str]], picture: Path, dense: float | None, title: str) -> None:
    """Draw accuracy over epochs into a PNG."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot()
    steps = max(int(row["step"]) for row in rows)
    train = [
        (int(r["epoch"]) - 1 + int(r["step"]) / steps, float(r["train_top1"])) for r in rows if "train_top1" in r
    ]
    test = [(int(r["epoch"]), float(r["test_top1"])) for r in rows if "test_top1" in r]
    axes.plot(*zip(*train), color="tab:gray", linewidth=1, label="training images, mean of the epoch so far")
    axes.plot(*zip(*test), color="tab:blue", marker="o", label="10,000 test images")
    if dense is not None:
        axes.axhline(dense, color="tab:green", linestyle="--", label=f"dense, {dense:.2f} %")
    axes.set(xlabel="epoch", ylabel="top-1 in %", title=title)
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="lower right")
    figure.savefig(picture, dpi=110)


def main() -> None:
    """Read the command line, write both files."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("log", type=Path)
    parser.add_argument("name")
    parser.add_argument("--start", type=float, help="test accuracy before the first step, in percent")
    parser.add_argument("--dense", type=float, help="accuracy of the dense model, in percent")
    options = parser.parse_args()
    rows = read(options.log.read_text(), options.start)
    folder = Path(__file__).resolve().parent
    with (folder / f"{options.name}.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    draw(rows, folder / f"{options.name}.png", options.dense, options.name)


if __name__ == "__main__":
    main()
