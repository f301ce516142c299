"""Compile the blocks of all runs of a file in several processes, into the folder of ``TORCHINDUCTOR_CACHE_DIR``.

    python -m benchmarks.cifar10_pruned.warm runs.json --weights DIR --processes 12

Needs no images, so that it can go on while they are brought. ``train.py`` then finds everything in that folder.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from .distillation import CHUNK
from .layout import Block, Layout, in_paddle_names, layout_of, wide_layout
from .network import Network
from .packing import merged
from .parameters import Parameters, initial_state
from .queueing import set_precision, set_recompile_limits
from .recipe import Recipe, packs_of, read_runs


@dataclass(frozen=True)
class Piece:
    """What is compiled at a time: one block (behind a first convolution of the same width) for one batch size."""

    layout: Layout
    batch: int
    side: int
    training: bool


def pieces_of(layout: Layout, pad: int, batch: int, training: bool) -> Iterator[Piece]:
    """Yield a piece for every block of a network, with widths rounded up, so that equal ones are equal."""

    def up(channels: int) -> int:
        return -(-channels // pad) * pad

    side = 32
    yield Piece(Layout(up(layout.stem), (), layout.packed), batch, side, training)
    for block in layout.blocks:
        place = ((0, 0),) if block.stride == 2 else ()
        plain = Block("layer1.0", up(block.in_c), up(block.mid_c), up(block.out_c), block.stride, place)
        yield Piece(Layout(plain.in_c, (plain,)), batch, side, training)
        side //= block.stride


def all_pieces(recipes: list[Recipe], weights: Path) -> list[Piece]:
    """Return the distinct pieces of all runs and of the tables of their teachers, the most frequent widths first."""
    pieces: dict[Piece, None] = {}
    for pack in packs_of(recipes):
        recipe = pack[0]
        states = [state_of(recipe, weights) for recipe in pack]
        if all(states) and "fc.weight" not in states[0]:  # mobile networks are not compiled
            pieces.update(dict.fromkeys(pieces_of(layout_of(merged(states)), recipe.pad, recipe.batch, True)))
        for teacher in (r for r in recipes if r.name in recipe.teacher):
            pieces.update(dict.fromkeys(pieces_of(layout_of(state_of(teacher, weights)), 8, CHUNK, False)))
    return list(pieces)


def state_of(recipe: Recipe, weights: Path) -> dict[str, Tensor]:
    """Return weights of the shapes that a run has; none if its file is not there yet."""
    file = weights / f"{recipe.weights}.safetensors"
    if recipe.weights is None:
        return initial_state(wide_layout(recipe.depth, recipe.width), recipe.seed)
    return in_paddle_names(load_file(file)) if file.exists() else {}


def compile_piece(piece: Piece, device: torch.device, low: bool) -> None:
    """Run one block forward and, in training, backward."""
    stem_only = not piece.layout.blocks
    # The parameters of a whole network with one block: what is behind is not compiled.
    layout = piece.layout if not stem_only else replace(piece.layout, blocks=(Block("layer1.0", 8, 8, 8, 1),))
    parameters = Parameters(layout, 1 if not stem_only else 8, device, torch.float32, low)
    dtype = torch.bfloat16 if low else torch.float32
    network = Network.of(layout, 1, device, dtype, compiled=True)
    leaves = {k: v if piece.training else v.detach() for k, v in parameters.leaves.items()}
    channels = leaves["conv1.weight"].shape[1] if stem_only else piece.layout.stem
    x = torch.randn(piece.batch, channels, piece.side, piece.side, device=device, dtype=dtype)
    x = x.to(memory_format=torch.channels_last).requires_grad_(piece.training and not stem_only)
    with torch.set_grad_enabled(piece.training):
        if stem_only:
            y = network.run_stem(leaves, parameters.stats, x, piece.training)
        else:
            y = network.run_block(leaves, parameters.stats, x, piece.layout.blocks[0], piece.training)
        if piece.training:
            y.float().square().mean().backward()


def main() -> None:
    """Read the command line; start the processes, or be one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, help="JSON of the runs, see recipe.py")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=12)
    parser.add_argument("--part", type=int, help="compile this part only")
    parser.add_argument("--precision", choices=("bf16", "tf32", "fp32"), default="bf16")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    began = time.perf_counter()
    pieces = all_pieces(read_runs(options.runs), options.weights)
    if options.part is not None:
        set_recompile_limits()
        set_precision(options.precision)
        for piece in pieces[options.part :: options.processes]:
            compile_piece(piece, torch.device(options.device), options.precision == "bf16")
        return
    command = [sys.executable, "-m", "benchmarks.cifar10_pruned.warm", *sys.argv[1:]]
    few_threads = {**os.environ, "TORCHINDUCTOR_COMPILE_THREADS": "2", "OMP_NUM_THREADS": "1"}
    parts = range(min(options.processes, len(pieces)))
    running = [subprocess.Popen([*command, "--part", str(part)], env=few_threads) for part in parts]
    failed = sum(process.wait() != 0 for process in running)
    print(f"{len(pieces)} blocks compiled in {time.perf_counter() - began:.0f} s, {failed} processes failed")


if __name__ == "__main__":
    main()
