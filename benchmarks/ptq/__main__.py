"""``python -m benchmarks.ptq``: quantize without training, and write top-1 in three engines as JSON and as a table.

NNCF is compared with if it is installed (``pip install nncf``). Rows that the JSON file has already are kept, and the
file is written after each network and way, so that a stopped run goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.ptq.configuration import CIFAR10, NETWORKS, Setup, options_of
from benchmarks.ptq.record import read_rows, table, write_rows
from benchmarks.ptq.ways import FLOAT, NNCF, run_way

ROOT = Path(__file__).resolve().parent.parent.parent
OBSERVERS = ("moving_average", "min_max", "percentile", "mse", "kl")
RESULT = ROOT / "benchmarks/ptq/cifar10.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--networks",
        nargs="+",
        choices=NETWORKS,
        default=[name for name, network in NETWORKS.items() if network.config == CIFAR10],
        metavar="NAME",
        help=f"of {', '.join(NETWORKS)} (default: the ResNets)",
    )
    parser.add_argument(
        "--ways",
        nargs="+",
        default=[FLOAT, NNCF, *OBSERVERS],
        help=f"{FLOAT}, {NNCF}, or an observer with options: mse, mse+equalize, mse+bias_correction (default: "
        "without options)",
    )
    parser.add_argument("--weights", type=Path, default=ROOT.parent / "shared/pretrained/cifar10", metavar="FOLDER")
    parser.add_argument("--images", type=int, default=10_000, help="of the test split (default: all)")
    parser.add_argument("--without-fake-quant", action="store_true", help="only the engines, which are faster")
    parser.add_argument("--json", type=Path, default=RESULT, metavar="FILE")
    parser.add_argument("--table", action="store_true", help="only print the table of the JSON file")
    arguments = parser.parse_args()
    rows = read_rows(arguments.json)
    if not arguments.table:
        for way in arguments.ways:
            options_of(way)
        for name in arguments.networks:
            setup = Setup(name, arguments.weights / NETWORKS[name].weights, arguments.images)
            for way in arguments.ways:
                if any((row["network"], row["way"], row["images"]) == (name, way, arguments.images) for row in rows):
                    continue
                rows += run_way(setup, way, not arguments.without_fake_quant)
                write_rows(arguments.json, rows)
                print(f"{name}, {way}: done", flush=True)
    print(table(rows))


if __name__ == "__main__":
    main()
