"""FLOPs of the CIFAR ResNets as the FPGM paper counts them, beside those of the channels that are really removed.

He et al., CVPR 2019, table 1. The paper counts every filter that is zero as removed, also where the channel has to
stay because a shortcut adds something to it, and does not round the ratio to whole filters. FLOPs are
multiply-accumulates, see :mod:`ppcls_slim.prune.flops`.
"""

from __future__ import annotations

import re
from typing import Optional

from ..config.prune import PruneConfig
from ..prune.plan import Plan

_STEM = 16 * 3 * 9 * 32 * 32
_CONVOLUTION = 16 * 16 * 9 * 32 * 32  # 16 channels of 32x32, 32 of 16x16, 64 of 8x8: the same


def paper_flops(depth: int, pruned: float) -> float:
    """Return the FLOPs of the convolutions when a share of the filters of every layer is zero.

    A convolution keeps the share ``k = 1 - pruned`` of its outputs. It keeps the same share of its inputs if another
    convolution alone produces them: the second convolution of each of the ``3 n`` blocks, and the first one of the
    first block, which reads the stem. The first convolution of a later stage has half as many inputs as the others.

    Args:
        depth: layers of the ResNet, ``6 n + 2``.
        pruned: share of the filters, from 0 to 1.
    """
    keep, blocks = 1.0 - pruned, (depth - 2) // 6
    second, first = 3 * blocks, 3 * (blocks - 1)
    return _STEM * keep + _CONVOLUTION * (keep**2 * (second + 1) + keep * (first + 2 * 0.5))


def paper_drop_percent(depth: int, pruned: float) -> float:
    """Return the paper's "FLOPs drop" in percent; arguments as :func:`paper_flops`."""
    return 100.0 * (1.0 - paper_flops(depth, pruned) / paper_flops(depth, 0.0))


def both_counts(arch: str, config: PruneConfig, plan: Plan) -> Optional[str]:
    """Return one line with both counts; None unless all layers of a CIFAR ResNet are pruned with one ratio."""
    found = re.fullmatch(r"CifarResNet(\d+)", arch)
    if found is None or config.pruned_ratio is None or config.ratios or config.skip:
        return None
    paper = paper_drop_percent(int(found[1]), config.pruned_ratio)
    return f"FLOPs: -{paper:.1f} % as the FPGM paper counts them, -{100 * plan.pruned_flops:.1f} % really removed"
