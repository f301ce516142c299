"""The logits of a model, and how far an exported one is from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.deploy.paddle_inference import Predictor
from ppcls_slim.graph.eval_mode import eval_mode
from ppcls_slim.verify.accuracy import logits_of

SMALLEST = 1e-20
"""Smallest probability whose logarithm is compared: Paddle's softmax is exact to ``e**-64`` only."""


def logits(model: paddle.nn.Layer, images: np.ndarray) -> np.ndarray:
    """Run a model in eval mode; return float64 ``[n, classes]``."""
    with eval_mode(model):
        return np.asarray(logits_of(model(paddle.to_tensor(images))).numpy(), dtype=np.float64)


def export_errors(expected: np.ndarray, exported: Path, images: np.ndarray) -> tuple[float, float]:
    """Compare an exported model with the trained one.

    Args:
        expected: the trained model's logits, ``[n, classes]``.
        exported: folder of the exported model, whose output is the softmax.
        images: ``[n, C, H, W]``.

    Returns:
        Relative error of the reference run and of oneDNN (int8 if the model is quantized), see :func:`softmax_error`.
    """
    plain, fast = (Predictor(exported, onednn=onednn)(images) for onednn in (False, True))
    return softmax_error(plain, expected), softmax_error(fast, expected)


def softmax_error(found: np.ndarray, expected: np.ndarray) -> float:
    """Relative error of a softmax in the 2-norm of the logits.

    PaddleClas exports the softmax, which makes nearly equal numbers of an untrained model's logits. So the logarithms
    are compared, relative to the logits less their mean; probabilities below ``SMALLEST`` are left out.

    Args:
        found: softmax ``[n, classes]``.
        expected: the logits that it should be the softmax of, ``[n, classes]``.
    """
    log_softmax = expected - expected.max(axis=-1, keepdims=True)
    log_softmax -= np.log(np.exp(log_softmax).sum(axis=-1, keepdims=True))
    known = np.minimum(found, np.exp(log_softmax)) > SMALLEST
    centred = expected - expected.mean(axis=-1, keepdims=True)
    difference = np.log(found[known].astype(np.float64)) - log_softmax[known]
    return float(np.linalg.norm(difference) / np.linalg.norm(centred[known]))


def logits_error(found: np.ndarray, expected: np.ndarray) -> float:
    """The same of two models' logits, ``[n, classes]`` each."""
    powers = np.exp(found - found.max(axis=-1, keepdims=True))
    return softmax_error(powers / powers.sum(axis=-1, keepdims=True), expected)
