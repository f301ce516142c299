"""Put loaded weights into a model: all of them exactly, or those that fit, counted.

PaddleClas skips whatever has another name or another shape without a word.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..graph.model import layer_of

Shapes = tuple[tuple[int, ...], tuple[int, ...]]
"""Of one tensor: in the file, and in the model."""


@dataclass(frozen=True)
class Fit:
    """What became of the tensors of a model.

    Attributes:
        loaded: how many were loaded.
        missing: names of those that the file does not have.
        classifiers: tensors of a classifier that has another number of classes in the file -> both numbers.
        unused: names of tensors of the file that the model does not have.
    """

    loaded: int
    missing: tuple[str, ...]
    classifiers: dict[str, tuple[int, int]]
    unused: tuple[str, ...]

    @property
    def share_missing(self) -> float:
        """Share of the model's tensors that the file does not have."""
        return len(self.missing) / max(self.loaded + len(self.missing) + len(self.classifiers), 1)


def load_exactly(model: paddle.nn.Layer, weights: Mapping[str, Any], source: Path) -> None:
    """Load weights that have to fit in every name and shape.

    Raises:
        SlimError: a parameter is missing or has another shape.
    """
    fitting = {}
    for name, tensor in model.state_dict().items():
        if name not in weights:
            raise SlimError(f"{source} has no {name}: it belongs to another model than Arch")
        there, here = _shapes(weights[name], tensor)
        if there != here:
            raise SlimError(f"{source}: {name} is {list(there)} there and {list(here)} in the model of Arch")
        fitting[name] = _of_type(tensor, weights[name], name, source)
    model.set_state_dict(fitting)


def fit(model: paddle.nn.Layer, weights: Mapping[str, Any], source: Path, class_numbers: Iterable[int]) -> Fit:
    """Find out what of dense weights fits; nothing is loaded yet.

    Only a classifier for another number of classes may have another shape.

    Args:
        model: dense.
        weights: by name.
        source: the file, for messages.
        class_numbers: that ``Arch`` names; empty if it leaves them to the backbone.

    Raises:
        SlimError: a tensor of another shape does not belong to a classifier.
    """
    state = model.state_dict()
    shapes = {name: _shapes(weights[name], tensor) for name, tensor in state.items() if name in weights}
    other = {name: pair for name, pair in shapes.items() if pair[0] != pair[1]}
    classifiers = {}
    for name, (there, here) in other.items():
        numbers = _class_numbers(name, other, set(class_numbers))
        if numbers is None:
            raise SlimError(
                f"{source}: {name} is {list(there)} there and {list(here)} in the model of Arch: it belongs to "
                "another model, or to a pruned one whose .slim.json is missing: copy that file too"
            )
        classifiers[name] = numbers
    return Fit(
        loaded=len(shapes) - len(other),
        missing=tuple(name for name in state if name not in weights),
        classifiers=classifiers,
        unused=tuple(name for name in weights if name not in state),
    )


def load_fitting(model: paddle.nn.Layer, weights: Mapping[str, Any], source: Path, found: Fit) -> None:
    """Load what :func:`fit` has found to fit.

    Raises:
        SlimError: a tensor has another type.
    """
    state = model.state_dict()
    for name in state.keys() & weights.keys() - found.classifiers.keys():
        state[name] = _of_type(state[name], weights[name], name, source)
    model.set_state_dict(state)


def _class_numbers(name: str, other: Mapping[str, Shapes], known: set[int]) -> tuple[int, int] | None:
    """Return both numbers of classes if a tensor belongs to a classifier, else None.

    Of a classifier the weight differs in its outputs and in nothing else, and the bias with it. In a pruned network a
    normalization differs on its own, or the inputs of the next layer do.
    """
    there, here = other[name]
    axis = 0 if len(here) != 2 else 1  # convolutions [out_c, in_c, k_h, k_w], biases, linear layers [in, out]
    if len(there) != len(here) or there[:axis] + there[axis + 1 :] != here[:axis] + here[axis + 1 :]:
        return None
    numbers = there[axis], here[axis]
    if known and numbers[1] not in known:
        return None
    if len(here) == 1:
        weights = [one for one in other if layer_of(one) == layer_of(name) and len(other[one][1]) > 1]
        if not any(_class_numbers(one, other, known) == numbers for one in weights):
            return None
    return numbers


def _shapes(value: Any, tensor: paddle.Tensor) -> Shapes:
    return tuple(map(int, value.shape)), tuple(map(int, tensor.shape))


def _of_type(tensor: paddle.Tensor, value: Any, name: str, source: Path) -> Any:
    """The value in the type of the model's tensor; Paddle refuses any other."""
    value = value if isinstance(value, paddle.Tensor) else paddle.to_tensor(value)
    if value.dtype == tensor.dtype:
        return value
    if not (value.is_floating_point() and tensor.is_floating_point()):
        raise SlimError(f"{source}: {name} is of type {value.dtype} there and {tensor.dtype} in the model of Arch")
    return value.astype(tensor.dtype)
