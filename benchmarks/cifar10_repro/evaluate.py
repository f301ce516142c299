"""Evaluate the weights of a run in float32, on the CPU if need be; optionally round them to float16 first.

Usage: python evaluate.py r20-fpgm30-masked-s1 weights/r20-fpgm30-masked-s1.safetensors --data DIR
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import torch
from cifar10 import Cifar10, load_arrays
from rows import find
from safetensors.torch import load_file, save_file
from training import Run

from train import set_precision


def rounded(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights with convolutions and the linear layer in float16; vectors stay float32."""
    return {name: value.half() if value.dim() > 1 else value for name, value in state.items()}


def accuracy(name: str, state: dict[str, torch.Tensor], data: Cifar10) -> float:
    """Return the top-1 accuracy in percent of a run's weights on the test set."""
    (spec,) = find([name])
    run = Run(replace(spec, start=None), data, epochs=1, batch=1)
    run.parameters.load(state)
    run.test()
    return 100.0 * int(run.right) / len(data.test_labels)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", help="the run, as in rows.py: says the depth and the bits")
    parser.add_argument("weights", type=Path)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--half", type=Path, metavar="FILE", help="round to float16 first, and write that")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    set_precision("fp32")
    state = load_file(options.weights)
    if options.half:
        state = rounded(state)
        save_file(state, options.half)
    data = Cifar10(load_arrays(options.data), torch.device(options.device), torch.float32)
    print(f"{accuracy(options.name, state, data):.2f}")


if __name__ == "__main__":
    main()
