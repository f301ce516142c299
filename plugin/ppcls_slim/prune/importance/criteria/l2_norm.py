"""L2 norm of the filters (the criterion of He et al., Soft Filter Pruning, IJCAI 2018)."""

from __future__ import annotations

from typing import Optional

import numpy as np

from ..criterion import Criterion


def l2_norm(weight: np.ndarray, rows: Optional[np.ndarray] = None) -> np.ndarray:
    """Return the Euclidean norm of each filter, as PaddleSlim's ``L2NormFilterPruner.cal_mask``.

    Args:
        weight: ``[out_c, in_c, k_h, k_w]``.
        rows: the filters to score; None for all.

    Returns:
        Scores ``[rows]`` in the data type of the weight.
    """
    chosen = weight if rows is None else weight[rows]
    return np.sqrt(np.sum(np.square(chosen), axis=tuple(range(1, weight.ndim))))


CRITERION = Criterion("l2_norm", l2_norm)
