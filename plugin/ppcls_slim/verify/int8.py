"""How close the ways of running a quantized model are: top-1 predictions, or features where there are no classes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.paddleclas.types import DataLoader

# Values of these names are part of the format of inference.slim.json.
FAKE_QUANT, REFERENCE, INT8 = "fake-quant", "exported, plain", "exported, int8"
"""Ways of running: the trained model; the exported file as it is written, in float; the exported file in int8."""
TOP1, FEATURES = "decisions", "features"
"""Kinds of comparison."""

LARGEST_LOSS = 0.2
"""Share of top-1, or of recall@1, above which int8 is taken for broken. Rounding costs a point or two; the faults of
Paddle's passes that were found cost 40 to 70."""
ENOUGH = 50
"""Samples from which on such a share is no accident."""

Outputs = Mapping[str, np.ndarray]
"""Way of running -> what it gives, ``[n, classes]`` or ``[n, dimensions]``."""


def run_all(
    ways: Mapping[str, Callable[[np.ndarray], np.ndarray]],
    images: np.ndarray,
    evaluation: Optional[DataLoader],
    limit: int,
) -> tuple[Outputs, Optional[np.ndarray]]:
    """Run the same images in every way.

    Args:
        ways: way of running -> function from ``[n, C, H, W]`` to outputs ``[n, ...]``.
        images: used where there is no evaluation data.
        evaluation: batches of images and labels, or None.
        limit: samples of it after which no other batch is run.

    Returns:
        The outputs, and labels ``[n]``, or None without evaluation data and where a sample has several.
    """
    outputs: dict[str, list[np.ndarray]] = {name: [] for name in ways}
    labels: list[np.ndarray] = []
    seen = 0
    for batch in evaluation if evaluation is not None else [(images,)]:
        inputs = np.asarray(batch[0], dtype=np.float32)
        for name, run in ways.items():
            outputs[name].append(np.asarray(run(inputs)).reshape(len(inputs), -1))
        labels += [np.asarray(one).reshape(len(inputs), -1) for one in batch[1:2]]
        seen += len(inputs)
        if seen >= limit:
            break
    together = {name: np.concatenate(parts) for name, parts in outputs.items()}
    single = bool(labels) and labels[0].shape[1] == 1
    return together, np.concatenate(labels)[:, 0] if single else None


def top1_predictions(outputs: Outputs, labels: Optional[np.ndarray]) -> dict[str, Any]:
    """Compare scores of classes.

    Args:
        outputs: way of running -> ``[n, classes]``.
        labels: ``[n]``, or None.

    Returns:
        ``kind``, ``samples`` and ``runs``: way of running -> ``top1`` (None without labels) and
        ``same_as_fake_quant``, the share of samples with the same largest score.
    """
    chosen = {name: scores.argmax(1) for name, scores in outputs.items()}
    runs = {
        name: {
            "top1": None if labels is None else float((one == labels).mean()),
            "same_as_fake_quant": float((one == chosen[FAKE_QUANT]).mean()),
        }
        for name, one in chosen.items()
    }
    return {"kind": TOP1, "samples": len(outputs[FAKE_QUANT]), "runs": runs}


def features(outputs: Outputs, labels: Optional[np.ndarray]) -> dict[str, Any]:
    """Compare embeddings by the cosine between them.

    Args:
        outputs: way of running -> ``[n, dimensions]``.
        labels: identities ``[n]``, or None.

    Returns:
        ``kind``, ``samples`` and ``runs``: way of running -> ``recall1`` (the share of samples whose nearest
        other sample has their label; None without labels), and mean and ``lowest`` ``cosine`` to fake-quant.
    """
    unit = {
        name: one / np.maximum(np.linalg.norm(one, axis=1, keepdims=True), 1e-12) for name, one in outputs.items()
    }
    runs = {}
    for name, one in unit.items():
        cosines = (one * unit[FAKE_QUANT]).sum(1)
        runs[name] = {
            "recall1": None if labels is None else _recall1(one, labels),
            "cosine": float(cosines.mean()),
            "lowest": float(cosines.min()),
        }
    return {"kind": FEATURES, "samples": len(outputs[FAKE_QUANT]), "runs": runs}


def _recall1(unit: np.ndarray, labels: np.ndarray) -> float:
    similarities = unit @ unit.T
    np.fill_diagonal(similarities, -np.inf)
    return float((labels[similarities.argmax(1)] == labels).mean())


def accuracy_of(found: Mapping[str, Any], run: str) -> Optional[float]:
    """Top-1 or recall@1 of a way of running; None without labels."""
    value = found["runs"][run]["top1" if found["kind"] == TOP1 else "recall1"]
    return None if value is None else float(value)


def closeness(found: Mapping[str, Any], run: str) -> float:
    """Share of equal top-1 predictions, or mean cosine."""
    return float(found["runs"][run]["same_as_fake_quant" if found["kind"] == TOP1 else "cosine"])


def lines(found: Mapping[str, Any]) -> list[str]:
    """One line for each way of running."""
    said = []
    for name, run in found["runs"].items():
        accuracy = accuracy_of(found, name)
        if found["kind"] == TOP1:
            start = "" if accuracy is None else f"top-1 {100 * accuracy:.2f} %, "
            said.append(f"{name}: {start}{100 * run['same_as_fake_quant']:.2f} % of top-1 predictions as fake-quant")
        else:
            start = "" if accuracy is None else f"recall@1 {100 * accuracy:.2f} %, "
            said.append(
                f"{name}: {start}cosine of features to fake-quant {run['cosine']:.4f}, lowest {run['lowest']:.4f}"
            )
    return said


def check(found: Mapping[str, Any], threshold: float) -> None:
    """Refuse what int8 computes wrong, not only in fewer steps.

    Args:
        found: with labels; without, nothing is refused.
        threshold: ``Slim.quant.verify_threshold``; a larger one than ``LARGEST_LOSS`` allows more.

    Raises:
        SlimError: int8 loses more than that.
    """
    lost, allowed = _lost(found), max(LARGEST_LOSS, threshold)
    if found["samples"] >= ENOUGH and lost > allowed:
        what = "top-1" if found["kind"] == TOP1 else "recall@1"
        raise SlimError(
            f"int8 is broken, it loses {100 * lost:.1f} % of {what} on {found['samples']} samples "
            f"({found['source']}): leave layers float with Slim.quant.skip, and report it; nothing was exported "
            "(a Slim.quant.verify_threshold above that exports it)"
        )


def _lost(found: Mapping[str, Any]) -> float:
    before, after = accuracy_of(found, FAKE_QUANT), accuracy_of(found, INT8)
    return 0.0 if before is None or after is None else before - after


def warning(found: Mapping[str, Any], threshold: float) -> Optional[str]:
    """A line with the numbers where int8 differs from fake-quant by more than the threshold, else None."""
    lost = _lost(found)
    apart = 1 - closeness(found, INT8)
    if lost <= threshold and apart <= threshold:
        return None
    what, other = ("top-1", f"{100 * apart:.2f} % other top-1 predictions")
    if found["kind"] == FEATURES:
        what, other = ("recall@1", f"a mean cosine of {1 - apart:.4f}")
    return (
        f"int8 differs from fake-quant by more than Slim.quant.verify_threshold ({threshold}): {100 * lost:.2f} % of "
        f"{what} lost, {other}, on {found['samples']} samples ({found['source']})"
    )
