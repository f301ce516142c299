"""What distillation adds to the training loss, in float32 also where the models compute in less."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..compat.paddle import paddle

F = paddle.nn.functional


def kl_loss(student: paddle.Tensor, teacher: paddle.Tensor, temperature: float) -> paddle.Tensor:
    """Return ``T^2`` times the mean KL divergence of the student's softened scores from the teacher's, a scalar.

    Hinton et al., arXiv:1503.02531, section 2; in NumPy: :func:`ppcls_slim.reference.distillation.kl_loss`.

    Args:
        student: logits ``[n, classes]``.
        teacher: logits ``[n, classes]``; they get no gradient.
        temperature: ``T``.
    """
    with paddle.amp.auto_cast(enable=False):
        log_q = F.log_softmax(student.astype("float32") / temperature, axis=-1)
        log_p = F.log_softmax(teacher.detach().astype("float32") / temperature, axis=-1)
        return temperature**2 * (log_p.exp() * (log_p - log_q)).sum(axis=-1).mean()


def feature_loss(student: paddle.Tensor, teacher: paddle.Tensor) -> paddle.Tensor:
    """Return the mean squared difference of two feature maps of one shape; the teacher's get no gradient."""
    with paddle.amp.auto_cast(enable=False):
        return F.mse_loss(student.astype("float32"), teacher.detach().astype("float32"))


def logits_of(output: Any) -> Any:
    """Return the scores in what a model of PaddleClas returns: they come first, or under the key ``logits``."""
    if isinstance(output, Mapping):
        output = output.get("logits", output.get("output"))
    while isinstance(output, (list, tuple)) and output:
        output = output[0]
    return output
