"""Train the runs of a file on one GPU, several side by side, from networks that the plugin pruned.

    python -m benchmarks.cifar10_pruned.train runs.json --data DIR --weights DIR --out DIR

The file is read again whenever a run can start, so runs can be added while others train; a run whose record exists
is done, and one whose teacher is still to be trained waits. ``NAME.json`` (recipe, environment, curve, result) and
``NAME.safetensors`` (named and shaped as in Paddle) are written for every run.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from .queueing import Queue, set_precision, set_recompile_limits


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="JSON of the runs, see recipe.py")
    parser.add_argument("--data", type=Path, required=True, help="folder of cifar10.npz")
    parser.add_argument("--weights", type=Path, required=True, help="folder of the pruned and the dense weights")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--side-by-side", type=int, default=4, help="runs that share the GPU at a time")
    parser.add_argument("--wait", type=float, default=0, metavar="SECONDS", help="for more runs, at the end")
    parser.add_argument("--precision", choices=("bf16", "tf32", "fp32"), default="bf16")
    parser.add_argument("--no-compile", action="store_true", help="run the blocks as PyTorch does by itself")
    parser.add_argument("--status-every", type=float, default=30, metavar="SECONDS")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


def main() -> None:
    """Read the command line and train."""
    options = parse()
    set_recompile_limits()
    set_precision(options.precision)
    Queue(options).work()


if __name__ == "__main__":
    main()
