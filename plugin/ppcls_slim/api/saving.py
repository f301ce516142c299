"""``ppcls_slim.save``: a network and how it was compressed, in one checkpoint."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Union

from .. import checkpoint as checkpoints
from ..common.errors import SlimError, file_error
from ..compat.paddle import paddle
from .batches import check_network
from .compression import compression_of


def save(model: paddle.nn.Layer, path: Union[str, Path]) -> Path:
    """Write ``PATH.pdparams``, and beside it ``PATH.slim.json``, which says how the network was compressed.

    The files appear together or not at all. ``Global.pretrained_model`` of a configuration takes them, too.

    Args:
        model: dense, pruned or quantized.
        path: with or without ``.pdparams``.

    Returns:
        The file of the weights.

    Raises:
        SlimError: they cannot be written.

    Example:
        >>> import paddle, ppcls_slim
        >>> net = paddle.vision.models.LeNet()
        >>> net = ppcls_slim.prune(net, ppcls_slim.plan(net, [1, 28, 28], pruned_ratio=0.5))
        >>> ppcls_slim.save(net, "output/pruned").name
        'pruned.pdparams'
    """
    check_network(model, "save")
    if not Path(path).name or str(path).endswith(("/", os.sep)):
        raise SlimError(f"save: {str(path)!r} names no file: give a path such as output/net")
    prefix = checkpoints.path_prefix_of(str(path))
    compression = compression_of(model)

    def write(folder: Path) -> None:
        paddle.save(model.state_dict(), str(checkpoints.with_suffix(folder / prefix.name, checkpoints.WEIGHTS)))

    sidecar = checkpoints.sidecar(compression.plan, compression.quant, checkpoints.Metadata())
    try:
        prefix.parent.mkdir(parents=True, exist_ok=True)
        checkpoints.save(prefix.parent, prefix.name, write, sidecar)
    except OSError as error:
        raise SlimError(file_error(error)) from None
    return checkpoints.with_suffix(prefix, checkpoints.WEIGHTS)
