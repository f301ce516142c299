"""FPGM: filter pruning via geometric median (He et al., CVPR 2019, equation 5).

A filter near the geometric median of its layer can be replaced by the others; its score is the sum of
its distances to all filters of the layer, and the lowest scores are pruned.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from . import Criterion, register

# Beyond these magnitudes float32 squares of PaddleSlim's arithmetic overflow or lose their digits, and
# an estimate in float64 says nothing about what it would choose.
_LARGEST, _SMALLEST = 1e17, 1e-17
_BLOCK = 256  # rows of distances at a time: they stay in the cache


def fpgm(weight: np.ndarray, rows: Optional[np.ndarray] = None) -> np.ndarray:
    """Sum of the Euclidean distances of each filter to all filters of the layer.

    The arithmetic, element by element, is that of ``FPGMFilterPruner.get_distance_sum`` (differences,
    squares and sums in the data type of the weight), so that ties fall as they do there. It takes
    ``O(out_c^2 * in_c * k_h * k_w)`` memory traffic; :func:`fpgm_bounds` is the fast way.

    Args:
        weight: ``[out_c, in_c, k_h, k_w]``.
        rows: filters to score; None for all.

    Returns:
        Scores ``[rows]`` in the data type of the weight.
    """
    filters = weight.reshape(weight.shape[0], -1)
    rows = np.arange(len(filters)) if rows is None else rows
    buffer = np.empty_like(filters)
    return np.array([_distances(filters, i, buffer).sum() for i in rows], dtype=weight.dtype)


def _distances(filters: np.ndarray, i: int, buffer: np.ndarray) -> np.ndarray:
    difference = np.subtract(filters, filters[i], out=buffer)
    return np.sqrt(np.sum(np.multiply(difference, difference, out=buffer), -1))


def fpgm_bounds(weight: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """The same scores from the Gram matrix, with a margin for the rounding of either way.

    ``d(i, j)^2 = |w_i|^2 + |w_j|^2 - 2 w_i.w_j`` in float64 costs a matrix product instead of a loop over
    filters. What is lost to cancellation is at most a few float64 roundings of the norms; what
    PaddleSlim itself loses in float32 is a relative error that grows with the logarithm of the length
    (NumPy sums pairwise). The margin adds both.

    Args:
        weight: ``[out_c, in_c, k_h, k_w]``.

    Returns:
        (scores ``[out_c]``, margins ``[out_c]``), or None where magnitudes leave no margin to give.
    """
    from scipy.linalg.blas import dgemm

    filters = weight.reshape(weight.shape[0], -1)
    magnitude = float(np.abs(filters).max(initial=0.0))
    if weight.dtype != np.float32 or not _SMALLEST < magnitude < _LARGEST:
        return None
    filters = filters.astype(np.float64)
    # Distances do not change when all filters move together; norms, and with them cancellation, do.
    filters -= filters.mean(axis=0)
    norms = np.einsum("ij,ij->i", filters, filters)
    scores = np.zeros(len(filters))
    for start in range(0, len(filters), _BLOCK):
        stop = min(start + _BLOCK, len(filters))
        # The distances are symmetric: rows of the block against themselves and all that follow.
        # SciPy's BLAS, because that of NumPy 1.26 takes three times as long on recent processors.
        distances = dgemm(-2.0, filters[start:].T, filters[start:stop].T, trans_a=True).T
        distances += norms[start:stop, None]
        distances += norms[start:]
        np.maximum(distances, 0.0, out=distances)
        np.fill_diagonal(distances, 0.0)
        np.sqrt(distances, out=distances)
        scores[start:stop] += distances.sum(axis=1)
        scores[stop:] += distances[:, stop - start :].sum(axis=0)
    # An error e in d^2 is at most sqrt(e) in d, and the sum of n square roots is at most the square
    # root of n times their squares' sum.
    relative = 8 * np.finfo(np.float64).eps * np.log2(filters.shape[1] + 2)
    lost = np.sqrt(len(filters) * relative * (len(filters) * norms + norms.sum()))
    # Taking the mean away rounds every element once.
    lost += len(filters) * 2 * np.finfo(np.float64).eps * np.sqrt(filters.shape[1]) * magnitude
    single = np.finfo(np.float32).eps * (np.log2(filters.size + 2) + 16)
    # Differences of nearly equal float32 numbers are exact, but squares below the smallest normal
    # number are not: the second term.
    underflow = len(filters) * np.sqrt(filters.shape[1]) * _SMALLEST * 1e-2
    return scores, lost + single * scores + underflow


register(Criterion("fpgm", fpgm, fpgm_bounds))
