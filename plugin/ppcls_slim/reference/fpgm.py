"""FPGM in float64: the importance of filters, how many are pruned, and which ones.

He et al., "Filter Pruning via Geometric Median for Deep Convolutional Neural Networks Acceleration",
CVPR 2019. Weights are ``[out_c, in_c, k_h, k_w]``; any trailing shape works.
"""

from __future__ import annotations

import numpy as np


def flatten_filters(weight: np.ndarray) -> np.ndarray:
    """Return the filters as float64 rows ``[out_c, in_c * k_h * k_w]``."""
    return np.asarray(weight, dtype=np.float64).reshape(weight.shape[0], -1)


def distance_sums(weight: np.ndarray) -> np.ndarray:
    """Return the importance of every filter by the paper's criterion; the lowest is the most replaceable.

    ``g(x) = sum_j ||x - F_j||_2`` over the filters of one layer (the paper's equations for the
    geometric median). The paper looks for the filter that minimises ``g``, so the value of ``g`` at
    a filter is its importance; the median itself is never computed.

    Returns:
        float64 ``[out_c]``.
    """
    filters = flatten_filters(weight)
    differences = filters[:, None, :] - filters[None, :, :]
    return _length(differences).sum(axis=1)


def norms(weight: np.ndarray) -> np.ndarray:
    """Return the Euclidean norm of every filter, float64 ``[out_c]`` (SFP's criterion)."""
    return _length(flatten_filters(weight))


def _length(vectors: np.ndarray) -> np.ndarray:
    """Return the Euclidean length along the last axis, scaled so that squares neither underflow nor overflow."""
    largest = np.abs(vectors).max(axis=-1, keepdims=True)
    scale = np.where(largest > 0, largest, 1.0)
    return scale[..., 0] * np.sqrt(((vectors / scale) ** 2).sum(axis=-1))


def paddleslim_scores(weight: np.ndarray, groups: int = 1) -> np.ndarray:
    """Return the scores of PaddleSlim 2.6's ``FPGMFilterPruner.cal_mask``, in float64.

    The sums of :func:`distance_sums`, averaged over ``groups`` runs of neighbouring filters if a layer
    that reads the channels is a grouped convolution. PaddleSlim computes in the data type of the
    weight, so ties and near ties may fall differently there.

    Returns:
        float64 ``[out_c]``, or ``[groups]`` where ``groups > 1``.
    """
    scores = distance_sums(weight)
    return scores.reshape(groups, -1).mean(axis=1) if groups > 1 else scores


def count_authors(filters: int, ratio: float) -> int:
    """Return how many filters the authors' program prunes: ``int(N * ratio)``, rounded down.

    ``get_filter_similar`` in ``pruning_cifar10.py``. The paper says ``N * P`` and leaves rounding open.
    """
    return int(filters * ratio)


def count_authors_norm(filters: int, keep: float) -> int:
    """Return how many filters the authors' program prunes by norm, given the share it keeps.

    ``int(N * (1 - rate_norm))``: ``1 - 0.9`` is a little below 0.1 in binary, so 10 filters lose none.
    """
    return int(filters * (1 - keep))


def count_paddleslim(filters: int, ratio: float) -> int:
    """Return how many filters PaddleSlim prunes: ``round(N * ratio)``, but never all of them.

    Python's ``round``: a half goes to the even neighbour.
    """
    return min(filters - 1, round(filters * ratio))


def select(scores: np.ndarray, count: int) -> np.ndarray:
    """Return the indices of the ``count`` lowest scores, ascending; of equal scores the first are taken.

    Raises:
        ValueError: ``count`` is negative or larger than the number of scores.
    """
    if not 0 <= count <= len(scores):
        raise ValueError(f"cannot select {count} of {len(scores)} filters")
    return np.sort(np.argsort(scores, kind="stable")[:count])


def select_mix(weight: np.ndarray, norm_count: int, distance_count: int) -> np.ndarray:
    """Return the filters that FPGM-mix prunes, ascending.

    As the authors' ``get_filter_similar``: first the ``norm_count`` filters with the smallest norms,
    then ``distance_count`` of the remaining ones, by the distances among these alone.
    """
    by_norm = select(norms(weight), norm_count)
    left = np.setdiff1d(np.arange(weight.shape[0]), by_norm)
    by_distance = left[select(distance_sums(weight[left]), distance_count)]
    return np.sort(np.concatenate([by_norm, by_distance]))


def filter_mask(weight: np.ndarray, pruned: np.ndarray) -> np.ndarray:
    """Return a float64 mask shaped like the weight: 0 where the filter is pruned, else 1."""
    mask = np.ones(weight.shape, dtype=np.float64)
    mask[pruned] = 0.0
    return mask


def sgd_step(
    weight: np.ndarray,
    velocity: np.ndarray,
    gradient: np.ndarray,
    mask: np.ndarray | None,
    lr: float,
    momentum: float = 0.9,
    weight_decay: float = 5e-4,
) -> tuple[np.ndarray, np.ndarray]:
    """Return weight and velocity after one Nesterov step of the authors' program.

    ``do_grad_mask`` masks the gradient of the loss only: weight decay and the velocity that a filter
    had before it was chosen still move it until it is zeroed again. ``mask=None`` is soft pruning,
    in which nothing is masked. The update is that of ``torch.optim.SGD(nesterov=True)``.
    """
    gradient = gradient if mask is None else gradient * mask
    gradient = gradient + weight_decay * weight
    velocity = momentum * velocity + gradient
    return weight - lr * (gradient + momentum * velocity), velocity
