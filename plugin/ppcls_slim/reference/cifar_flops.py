"""FLOPs of the CIFAR ResNets: as the FPGM paper counts them, and of the channels that are really removed.

One FLOP is one multiply-accumulate of a convolution, as in the paper; the last linear layer, batch
normalization and shortcuts are not counted there either.
"""

from __future__ import annotations

from collections.abc import Iterator

WIDTHS = (16, 32, 64)
SIZES = (32, 16, 8)


def conv_layers(depth: int) -> Iterator[tuple[int, int, int, int, bool]]:
    """Yield ``(stage, out_c, in_c, output size, second of its block)`` for every 3x3 convolution.

    Raises:
        ValueError: no CIFAR ResNet has this depth.
    """
    if depth < 8 or (depth - 2) % 6:
        raise ValueError(f"a CIFAR ResNet has 6 n + 2 layers, not {depth}")
    yield 0, WIDTHS[0], 3, SIZES[0], False
    for stage in range(3):
        for block in range((depth - 2) // 6):
            first_in = WIDTHS[max(stage - 1, 0)] if block == 0 else WIDTHS[stage]
            yield stage, WIDTHS[stage], first_in, SIZES[stage], False
            yield stage, WIDTHS[stage], WIDTHS[stage], SIZES[stage], True


def paper_flops(depth: int, pruned: float) -> float:
    """Return the FLOPs that the paper counts when a share of every layer's filters is pruned.

    The share is not rounded to whole filters. Every layer loses outputs (factor ``1 - pruned``).
    The second convolution of a block also loses inputs (again ``1 - pruned``), and so does the first
    one of the first block, which reads the stem; what a block adds to its shortcut keeps its width.
    As ``functions/cal_flop.py`` of the authors' program.
    """
    keep = 1.0 - pruned
    total = 0.0
    for index, (_, out_c, in_c, size, second) in enumerate(conv_layers(depth)):
        reads_pruned = second or index == 1
        total += out_c * in_c * 9 * size * size * keep * (keep if reads_pruned else 1.0)
    return total


def paper_drop_percent(depth: int, pruned: float) -> float:
    """Return the paper's "FLOPs drop" in percent."""
    return 100.0 * (1.0 - int(paper_flops(depth, pruned)) / int(paper_flops(depth, 0.0)))


def removed_flops(depth: int, pruned: float) -> int:
    """Return the FLOPs that are left when channels are really removed.

    The first convolution of every block loses filters, rounded down to whole ones as in the authors'
    program, and the second one loses the inputs. What is added to a shortcut keeps its width.
    """
    total = 0
    for index, (_, out_c, in_c, size, second) in enumerate(conv_layers(depth)):
        kept_in = in_c - int(in_c * pruned) if second else in_c
        kept_out = out_c if second or index == 0 else out_c - int(out_c * pruned)
        total += kept_out * kept_in * 9 * size * size
    return total
