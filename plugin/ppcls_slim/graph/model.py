"""A model's tensors by name."""

from __future__ import annotations

from ..compat.paddle import paddle


def tensors_of(model: paddle.nn.Layer) -> dict[str, paddle.Tensor]:
    """Parameters and buffers by name, those that are not saved included."""
    return {**dict(model.named_buffers()), **model.state_dict()}


def shapes_of(model: paddle.nn.Layer) -> dict[str, tuple[int, ...]]:
    """Shapes of parameters and buffers by name."""
    return {name: tuple(int(n) for n in tensor.shape) for name, tensor in tensors_of(model).items()}


def layer_of(param: str) -> str:
    """Name of the layer that a parameter belongs to, ``""`` for the model itself.

    >>> layer_of("blocks.0.conv.weight")
    'blocks.0.conv'
    """
    return param.rpartition(".")[0]
