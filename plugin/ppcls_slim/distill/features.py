"""Outputs of layers: which of a student's can be compared with its teacher's, and what they are in a forward pass."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..common.errors import SlimError
from ..common.name_patterns import expand, matching
from ..compat.paddle import paddle
from ..graph.eval_mode import eval_mode
from .losses import logits_of

SHOWN = 8
"""How many layers a message names."""


@dataclass(frozen=True)
class Trial:
    """What one forward pass in evaluation mode gave.

    Attributes:
        logits: shape of the scores, None where the model does not give a tensor.
        features: name -> shape, of the layers that ran once and gave one tensor.
    """

    logits: Sequence[int] | None
    features: dict[str, list[int]]


class Watch:
    """Keeps the outputs of layers.

    Attributes:
        outputs: name -> outputs since they were last cleared, in order.
    """

    def __init__(self, model: paddle.nn.Layer, names: Iterable[str]):
        layers = dict(model.named_sublayers())
        self.outputs: dict[str, list[Any]] = {name: [] for name in names}
        self._handles = [layers[name].register_forward_post_hook(self._keeping(name)) for name in self.outputs]

    def _keeping(self, name: str) -> Any:
        return lambda layer, inputs, output: self.outputs[name].append(output)

    def take(self) -> dict[str, Any]:
        """Return the last output of every layer, and forget them all."""
        taken = {name: outputs[-1] for name, outputs in self.outputs.items()}
        for outputs in self.outputs.values():
            outputs.clear()
        return taken

    def stop(self) -> None:
        """Watch no more."""
        for handle in self._handles:
            handle.remove()


def trial(model: paddle.nn.Layer, images: paddle.Tensor) -> Trial:
    """Run a model once in evaluation mode.

    Args:
        model: any; stays as it was.
        images: ``[n, C, H, W]``.
    """
    watch = Watch(model, [name for name, _ in model.named_sublayers()])
    try:
        with eval_mode(model):
            logits = logits_of(model(images))
    finally:
        watch.stop()
    once = {name: outputs[0] for name, outputs in watch.outputs.items() if len(outputs) == 1}
    features = {name: list(one.shape) for name, one in once.items() if isinstance(one, paddle.Tensor)}
    return Trial(list(logits.shape) if isinstance(logits, paddle.Tensor) else None, features)


def comparable(features: Mapping[str, float], student: Trial, teacher: Trial, key: str) -> dict[str, float]:
    """Return layer -> weight, of the layers that ``Slim.distill.features`` names.

    Args:
        features: name or pattern -> weight. A pattern stands for those of its layers whose shapes agree.
        student: after compression.
        teacher: of the same input.
        key: of ``features`` in the configuration, for messages.

    Raises:
        SlimError: a pattern matches nothing, or a layer has another shape in the teacher.
    """
    agree = [name for name, shape in student.features.items() if teacher.features.get(name) == shape]
    usable = f"of one shape in both are {_some(agree)}" if agree else "no layer is of one shape in both"
    for pattern in features:
        found = matching(pattern, list(student.features), key, "layer")
        if set(found) & set(agree):
            continue
        here, there = student.features[found[0]], teacher.features.get(found[0])
        if there is None:
            raise SlimError(f"{key}: the teacher has no layer '{found[0]}'; {usable}")
        raise SlimError(f"{key}: '{found[0]}' gives {here} in the student and {there} in the teacher; {usable}")
    return {layer: features[pattern] for layer, pattern in expand(features, agree, key, "layer").items()}


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
