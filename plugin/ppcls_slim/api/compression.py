"""How a network was compressed, kept on the network itself so that later functions know."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any, Optional

from ..common.errors import SlimError
from ..compat.layers import is_static
from ..compat.paddle import paddle
from ..prune.plan import Plan
from ..quant.record import QuantRecord
from ..verify.accuracy import logits_of

ATTRIBUTE = "_ppcls_slim"
_first_output = paddle.jit.not_to_static(logits_of)  # it only looks into lists, which Paddle's transformer breaks


@dataclass(frozen=True)
class Compression:
    """What was done to a network.

    Attributes:
        dense: a copy of the network from before; None where nothing was done. It is never changed.
        plan: how it was pruned.
        quant: how it was quantized.
        input_shape: ``(C, H, W)``, where it is known.
    """

    dense: Optional[paddle.nn.Layer] = None
    plan: Optional[Plan] = None
    quant: Optional[QuantRecord] = None
    input_shape: Optional[tuple[int, ...]] = None

    def __deepcopy__(self, memo: dict[int, Any]) -> Compression:
        """Copies of a network share it."""
        return self


def compression_of(model: paddle.nn.Layer) -> Compression:
    """What was done to a network; nothing, where no function here was given it."""
    found: Compression = vars(model).get(ATTRIBUTE, Compression())
    return found


def keep(model: paddle.nn.Layer, compression: Compression) -> None:
    """Note what was done."""
    vars(model)[ATTRIBUTE] = compression


def check_float(model: paddle.nn.Layer, function: str) -> None:
    """Refuse a quantized network, and one that :func:`check_plain` refuses.

    Raises:
        SlimError: see above.
    """
    if compression_of(model).quant is not None:
        raise SlimError(f"{function}: the network is quantized already: prune first, then quantize the float network")
    check_plain(model, function)


def check_plain(model: paddle.nn.Layer, function: str) -> None:
    """Refuse a wrapped network, and what is not computed in float32, layer by layer.

    Raises:
        SlimError: see above.
    """
    if isinstance(model, paddle.DataParallel):
        raise SlimError(f"{function}: the network is in paddle.DataParallel: give the one that you put into it")
    if any(is_static(layer) for layer in model.sublayers(include_self=True)):
        raise SlimError(f"{function}: the network is under paddle.jit.to_static: give it before that")
    for name, parameter in model.named_parameters():
        if parameter.is_floating_point() and parameter.dtype != paddle.float32:
            kind = str(parameter.dtype).rpartition(".")[2]
            raise SlimError(f"{function}: {name} is {kind}: give the network in float32 (model.to(dtype='float32'))")


def check_dense(model: paddle.nn.Layer, function: str) -> None:
    """Refuse a network that was compressed.

    Raises:
        SlimError: see above.
    """
    check_float(model, function)
    if compression_of(model).plan is not None:
        raise SlimError(f"{function}: the network is pruned already: give the dense one, with a larger ratio")


def copy_of(model: paddle.nn.Layer) -> paddle.nn.Layer:
    """Copy a network; parameters and buffers keep their names, by which exported programs tell layers.

    Raises:
        SlimError: something in it cannot be copied.
    """
    try:
        twin = copy.deepcopy(model)
    except Exception as error:  # whatever an attribute of the user's raises
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
        raise SlimError(
            f"{type(model).__name__} cannot be copied ({reason}): keep computed tensors, files and the like out "
            "of its attributes"
        ) from error
    for before, after in ((model.parameters(), twin.parameters()), (model.buffers(), twin.buffers())):
        for one, other in zip(before, after):
            other.name = one.name
    return twin


class ExportedNetwork(paddle.nn.Layer):
    """What is exported of a network: its first output, as of PaddleClas's ``ExportModel`` without the softmax."""

    def __init__(self, model: paddle.nn.Layer):
        super().__init__()
        self.base_model = model

    def forward(self, images: paddle.Tensor) -> paddle.Tensor:
        """``[n, C, H, W]`` -> logits ``[n, classes]``, or whatever the network gives first."""
        return _first_output(self.base_model(images))


def exported(model: paddle.nn.Layer) -> ExportedNetwork:
    """Wrap a network for export, in evaluation mode."""
    wrapped = ExportedNetwork(model)
    wrapped.eval()
    return wrapped
