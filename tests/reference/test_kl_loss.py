"""The reference of distillation against arithmetic and finite differences, and the plugin's loss against it."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.distill.losses import kl_loss
from ppcls_slim.reference import distillation


def logits(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    student, teacher = np.random.default_rng(seed).normal(scale=3.0, size=(2, 5, 7))
    return student, teacher


def test_two_classes_by_hand() -> None:
    # T = 2: p = (3/4, 1/4) from 2 ln 3, q = (1/2, 1/2); KL = 3/4 ln(3/2) + 1/4 ln(1/2), times T^2.
    student, teacher = np.array([[0.0, 0.0]]), np.array([[2 * np.log(3), 0.0]])
    expected = 4 * (0.75 * np.log(1.5) + 0.25 * np.log(0.5))
    assert distillation.kl_loss(student, teacher, 2.0) == pytest.approx(expected, abs=1e-14)


def test_a_student_that_says_the_same_has_nothing_to_learn() -> None:
    student, _ = logits()
    assert distillation.kl_loss(student, student + 3.0, 4.0) == pytest.approx(0, abs=1e-14)
    np.testing.assert_allclose(distillation.kl_gradient(student, student, 4.0), 0, atol=1e-15)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0, 20.0])
def test_the_gradient_is_that_of_finite_differences(temperature: float) -> None:
    student, teacher = logits()
    gradient, step = distillation.kl_gradient(student, teacher, temperature), 1e-6
    for index in np.ndindex(student.shape):
        moved = np.zeros_like(student)
        moved[index] = step
        high, low = (distillation.kl_loss(student + sign * moved, teacher, temperature) for sign in (1, -1))
        assert (high - low) / (2 * step) == pytest.approx(gradient[index], abs=1e-7)


def test_in_a_hot_softmax_it_is_matching_of_logits() -> None:
    """Section 2.1: for T far above the logits, which have mean zero, the gradient tends to (z - v) / N."""
    student, teacher = (one - one.mean(axis=1, keepdims=True) for one in logits())
    matched = (student - teacher) / student.shape[1] / len(student)
    np.testing.assert_allclose(distillation.kl_gradient(student, teacher, 1e5), matched, atol=1e-4)


@pytest.mark.paddle26
@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_plugin_computes_the_reference(temperature: float) -> None:
    from ppcls_slim.compat.paddle import paddle  # a reference needs no Paddle

    student, teacher = logits(1)
    trained = paddle.to_tensor(student.astype("float32"), stop_gradient=False)
    taught = paddle.to_tensor(teacher.astype("float32"), stop_gradient=False)
    loss = kl_loss(trained, taught, temperature)
    loss.backward()
    assert float(loss) == pytest.approx(distillation.kl_loss(student, teacher, temperature), rel=1e-5)
    expected = distillation.kl_gradient(student, teacher, temperature)
    np.testing.assert_allclose(trained.grad.numpy(), expected, atol=1e-6)
    assert taught.grad is None
