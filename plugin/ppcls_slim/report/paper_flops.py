"""FLOPs of the CIFAR ResNets as the FPGM paper counts them, beside those that removing channels really saves.

He et al., CVPR 2019, table 1. The paper counts every filter as gone that is zero, also where the channel has to stay
because a shortcut adds something else to it, and does not round the rate to whole filters.
"""

from __future__ import annotations

import re
from typing import Optional

from ..config.prune import PruneConfig
from ..prune.plan import Plan

_STEM = 16 * 3 * 9 * 32 * 32
_CONVOLUTION = 16 * 16 * 9 * 32 * 32  # 16 channels of 32x32, 32 of 16x16, 64 of 8x8: the same


def paper_flops(depth: int, pruned: float) -> float:
    """Multiply-accumulates of the convolutions that are left when a share of every layer's filters is zero.

    A convolution is left with the share ``k = 1 - pruned`` of its outputs, and with that share of its inputs where
    it alone reads them from one other convolution: the second of each of the ``3 n`` blocks, and the first block's
    first, which reads the stem. The first of a later stage has half as many inputs as the rest.
    """
    keep, blocks = 1.0 - pruned, (depth - 2) // 6
    second, first = 3 * blocks, 3 * (blocks - 1)
    return _STEM * keep + _CONVOLUTION * (keep**2 * (second + 1) + keep * (first + 2 * 0.5))


def paper_drop_percent(depth: int, pruned: float) -> float:
    """The paper's "FLOPs drop"."""
    return 100.0 * (1.0 - paper_flops(depth, pruned) / paper_flops(depth, 0.0))


def both_counts(arch: str, config: PruneConfig, plan: Plan) -> Optional[str]:
    """One line with both counts; None unless every filter of a CIFAR ResNet goes at one rate."""
    found = re.fullmatch(r"CifarResNet(\d+)", arch)
    if found is None or config.pruned_ratio is None or config.ratios or config.skip:
        return None
    paper = paper_drop_percent(int(found[1]), config.pruned_ratio)
    return f"FLOPs: -{paper:.1f} % as the FPGM paper counts them, -{100 * plan.pruned_flops:.1f} % really removed"
