"""FPGM: filter pruning via geometric median (He et al., CVPR 2019, equation 5).

A filter near the geometric median of its layer can be replaced by the others. Its score is the sum of
its distances to all filters of the layer; the filters with the lowest scores are pruned.
"""

from __future__ import annotations

from typing import Optional

import numpy as np

from ..criterion import Criterion

# Outside this range of magnitudes the float32 squares of PaddleSlim's arithmetic overflow or lose their digits, and
# an estimate in float64 does not tell what PaddleSlim would choose.
_LARGEST, _SMALLEST = 1e17, 1e-17
_BLOCK = 256  # rows of the distance matrix computed at a time, so that they stay in the cache


def fpgm(weight: np.ndarray, rows: Optional[np.ndarray] = None) -> np.ndarray:
    """Return the sum of the Euclidean distances of each filter to all filters of the layer.

    The arithmetic is that of PaddleSlim's ``FPGMFilterPruner.get_distance_sum``, element by element
    (differences, squares and sums in the data type of the weight), so that ties fall as they do there. It moves
    ``O(out_c^2 * in_c * k_h * k_w)`` numbers through memory; :func:`fpgm_bounds` is the fast way.

    Args:
        weight: ``[out_c, in_c, k_h, k_w]``.
        rows: the filters to score; None for all.

    Returns:
        Scores ``[rows]`` in the data type of the weight.
    """
    filters = weight.reshape(weight.shape[0], -1)
    rows = np.arange(len(filters)) if rows is None else rows
    buffer = np.empty_like(filters)
    return np.array([_distances(filters, i, buffer).sum() for i in rows.tolist()], dtype=weight.dtype)


def _distances(filters: np.ndarray, i: int, buffer: np.ndarray) -> np.ndarray:
    difference = np.subtract(filters, filters[i], out=buffer)
    return np.sqrt(np.sum(np.multiply(difference, difference, out=buffer), -1))


def fpgm_bounds(weight: np.ndarray) -> Optional[tuple[np.ndarray, np.ndarray]]:
    """Return the scores computed from the Gram matrix, with a bound on their difference to :func:`fpgm`.

    ``d(i, j)^2 = |w_i|^2 + |w_j|^2 - 2 w_i.w_j`` in float64 costs one matrix product instead of a loop over
    filters.

    Args:
        weight: ``[out_c, in_c, k_h, k_w]``.

    Returns:
        (scores ``[out_c]``, margins ``[out_c]``), both float64; None if the weight is not float32 or its values are
        so large or so small that no margin can be given.
    """
    filters = weight.reshape(weight.shape[0], -1)
    magnitude = float(np.abs(filters).max(initial=0.0))
    if weight.dtype != np.float32 or not _SMALLEST < magnitude < _LARGEST:
        return None
    filters = filters.astype(np.float64)
    # Distances do not change when all filters are shifted together; norms, and with them cancellation, get smaller.
    filters -= filters.mean(axis=0)
    norms = np.einsum("ij,ij->i", filters, filters)
    scores = _distance_sums(filters, norms)
    return scores, _margins(filters, norms, scores, magnitude)


def _distance_sums(filters: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """Return the sums of distances ``[out_c]`` from filters ``[out_c, n]`` and their squared norms ``[out_c]``."""
    from scipy.linalg.blas import dgemm  # here: importing SciPy's BLAS takes time that other commands do not need

    scores = np.zeros(len(filters))
    for start in range(0, len(filters), _BLOCK):
        stop = min(start + _BLOCK, len(filters))
        # The matrix is symmetric: rows of the block against themselves and all rows behind them.
        # SciPy's BLAS, because that of NumPy 1.26 takes three times as long on recent processors.
        distances = dgemm(-2.0, filters[start:].T, filters[start:stop].T, trans_a=True).T
        distances += norms[start:stop, None]
        distances += norms[start:]
        np.maximum(distances, 0.0, out=distances)
        np.fill_diagonal(distances, 0.0)
        np.sqrt(distances, out=distances)
        scores[start:stop] += distances.sum(axis=1)
        scores[stop:] += distances[:, stop - start :].sum(axis=0)
    return scores


def _margins(filters: np.ndarray, norms: np.ndarray, scores: np.ndarray, magnitude: float) -> np.ndarray:
    """Bound the rounding errors of both computations, ``[out_c]``.

    Cancellation in float64 costs at most a few roundings of the norms. PaddleSlim's float32 has a relative error that
    grows with the logarithm of the length (NumPy sums pairwise).
    """
    # An error e in d^2 is at most sqrt(e) in d, and a sum of n square roots is at most the square root of n times the
    # sum of their squares.
    relative = 8 * np.finfo(np.float64).eps * np.log2(filters.shape[1] + 2)
    margins = np.sqrt(len(filters) * relative * (len(filters) * norms + norms.sum()))
    # Subtracting the mean rounds every element once.
    margins += len(filters) * 2 * np.finfo(np.float64).eps * np.sqrt(filters.shape[1]) * magnitude
    single = np.finfo(np.float32).eps * (np.log2(filters.size + 2) + 16)
    # Differences of nearly equal float32 numbers are exact, but squares below the smallest normal number are not.
    underflow = len(filters) * np.sqrt(filters.shape[1]) * _SMALLEST * 1e-2
    return margins + single * scores + underflow


CRITERION = Criterion("fpgm", fpgm, fpgm_bounds)
