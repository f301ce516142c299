"""Distillation in float64: the loss between the outputs of teacher and student, and its gradient.

Hinton, Vinyals and Dean, "Distilling the Knowledge in a Neural Network", arXiv:1503.02531, section 2.
"""

from __future__ import annotations

import numpy as np


def softened(logits: np.ndarray, temperature: float) -> np.ndarray:
    """Return equation 1, ``q_i = exp(z_i / T) / sum_j exp(z_j / T)``, of logits ``[n, classes]``."""
    z = np.asarray(logits, dtype=np.float64) / temperature
    exponentials = np.exp(z - z.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def kl_loss(student: np.ndarray, teacher: np.ndarray, temperature: float) -> float:
    """Return ``T^2`` times the mean over ``n`` of ``KL(p || q)``, with ``p`` of the teacher and ``q`` of the student.

    The paper's cross entropy with soft targets differs from it by the entropy of ``p``, which has no gradient.

    Args:
        student: logits ``[n, classes]``.
        teacher: logits ``[n, classes]``.
        temperature: ``T``.
    """
    p, q = softened(teacher, temperature), softened(student, temperature)
    return float(temperature**2 * (p * (np.log(p) - np.log(q))).sum(axis=1).mean())


def kl_gradient(student: np.ndarray, teacher: np.ndarray, temperature: float) -> np.ndarray:
    """Return the gradient of :func:`kl_loss` with respect to the student's logits, ``[n, classes]``.

    Equation 2, ``(q_i - p_i) / T`` for one sample, times the ``T^2`` that the paper recommends, over ``n`` samples.
    """
    p, q = softened(teacher, temperature), softened(student, temperature)
    return temperature * (q - p) / len(q)
