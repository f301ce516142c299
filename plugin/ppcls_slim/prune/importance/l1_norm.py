"""L1 norm of a filter (Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017)."""

from __future__ import annotations

from typing import Optional

import numpy as np

from . import Criterion, register


def l1_norm(weight: np.ndarray, rows: Optional[np.ndarray] = None) -> np.ndarray:
    """Mean of the absolute values of each filter, as ``L1NormFilterPruner.cal_mask`` computes it.

    Args:
        weight: ``[out_c, in_c, k_h, k_w]``.
        rows: filters to score; None for all.

    Returns:
        Scores ``[rows]`` in the data type of the weight.
    """
    chosen = weight if rows is None else weight[rows]
    return np.mean(np.abs(chosen), axis=tuple(range(1, weight.ndim)))


register(Criterion("l1_norm", l1_norm))
