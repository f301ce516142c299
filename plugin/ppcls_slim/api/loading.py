"""``ppcls_slim.load``: a network from a checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Optional, Union

from .. import checkpoint as checkpoints
from ..checkpoint import Checkpoint
from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..prune import pruner
from ..quant import prepare
from .batches import check_network
from .compression import Compression, check_dense, copy_of, keep

Builds = Union[paddle.nn.Layer, Callable[[], paddle.nn.Layer], Mapping[str, Any], str, Path]
"""A dense network, a function that builds it, a section ``Arch`` or a whole configuration, or a YAML file."""


def load(path: Union[str, Path], model: Optional[Builds] = None) -> paddle.nn.Layer:
    """Rebuild a network from a checkpoint of :func:`~ppcls_slim.save` or of a training with a ``Slim`` section.

    Args:
        path: of the checkpoint, with or without ``.pdparams``.
        model: the dense network (it is changed in place; its weights do not matter), a function that builds it, or,
            where PaddleClas is installed, a section ``Arch``, a configuration, or a YAML file of one.

    Returns:
        The network with the weights of the checkpoint: pruned and quantized as they were. Filters that a schedule has
        zeroed and not removed are zero, and in their place.

    Raises:
        SlimError: there is no such checkpoint, or it belongs to another network.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.vision.models.LeNet()
        >>> net = ppcls_slim.prune(net, ppcls_slim.plan(net, [1, 28, 28], pruned_ratio=0.5))
        >>> path = ppcls_slim.save(net, "output/pruned")
        >>> again = ppcls_slim.load(path, paddle.vision.models.LeNet)
        >>> list(again.features[0].weight.shape)
        [3, 1, 3, 3]
    """
    checkpoint = checkpoints.open_checkpoint(str(path), "load")
    network = _built(model)
    compressed = checkpoint.plan is not None or checkpoint.quant is not None
    dense = copy_of(network) if compressed else None
    try:
        if checkpoint.plan is not None:
            pruner.prune(network, checkpoint.plan)
        if checkpoint.quant is not None:
            checkpoint.quant.check_user_classes(None)
            prepare.rebuild(network, checkpoint.quant)
    except SlimError as error:
        raise SlimError(f"{checkpoint.weights}: {error}") from None
    weights = checkpoints.read_weights(checkpoint)
    if checkpoint.quant is None:
        prepare.refuse_quantized(weights, checkpoint.weights)
    checkpoints.load_exactly(network, weights, checkpoint.weights)
    if compressed:
        keep(network, Compression(dense, checkpoint.plan, checkpoint.quant, _shape(checkpoint)))
    return network


def _built(model: Optional[Builds]) -> paddle.nn.Layer:
    if model is None:
        raise SlimError(
            "load: a checkpoint holds weights and how they were compressed, and not the code of the network: give "
            "model=, the dense network, a function that builds it, or its YAML file"
        )
    if isinstance(model, (str, Path, Mapping)):
        # PaddleClas, which nothing else here needs.
        from ..compat.paddleclas.config import clas_config, read_yaml_config
        from ..engine.build import build_untrained

        given = read_yaml_config(Path(model), []) if isinstance(model, (str, Path)) else clas_config(model)
        return build_untrained(given)
    network = model if isinstance(model, paddle.nn.Layer) else model() if callable(model) else model
    check_network(network, "load")
    check_dense(network, "load")
    return network


def _shape(checkpoint: Checkpoint) -> Optional[tuple[int, ...]]:
    return None if checkpoint.plan is None else tuple(checkpoint.plan.input_shape)
