"""L1 norm of the filters (Li et al., Pruning Filters for Efficient ConvNets, ICLR 2017)."""

from __future__ import annotations

from typing import Optional

import numpy as np

from ..criterion import Criterion


def l1_norm(weight: np.ndarray, rows: Optional[np.ndarray] = None) -> np.ndarray:
    """Return the mean absolute value of each filter, as PaddleSlim's ``L1NormFilterPruner.cal_mask``.

    Args:
        weight: ``[out_c, in_c, k_h, k_w]``.
        rows: the filters to score; None for all.

    Returns:
        Scores ``[rows]`` in the data type of the weight.
    """
    chosen = weight if rows is None else weight[rows]
    return np.mean(np.abs(chosen), axis=tuple(range(1, weight.ndim)))


CRITERION = Criterion("l1_norm", l1_norm)
