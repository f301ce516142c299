"""Load weights: as PaddleClas does, exactly, or with everything that a training goes on with."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Optional

from .. import checkpoint as checkpoints
from ..checkpoint import Checkpoint
from ..common.errors import SlimError
from ..compat.layers import unwrap
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger
from ..compat.paddleclas.types import Optimizer
from ..quant import prepare
from .progress import STATE, Progress


def load_what_fits(model: paddle.nn.Layer, checkpoint: Checkpoint) -> None:
    """Load dense weights as PaddleClas does: what does not fit (another head) is skipped.

    Raises:
        SlimError: they are those of a quantized model.
    """
    weights = checkpoints.read_weights(checkpoint)
    prepare.refuse_quantized(weights, checkpoint.weights)
    model.set_state_dict(weights)
    logger.info(f"ppcls_slim: dense weights from {checkpoint.weights}")


def load_exactly(model: paddle.nn.Layer, checkpoint: Checkpoint) -> None:
    """Load weights that have to fit in every name and shape.

    Raises:
        SlimError: one does not.
    """
    checkpoints.load_exactly(model, checkpoints.read_weights(checkpoint), checkpoint.weights)
    logger.info(f"ppcls_slim: weights from {checkpoint.weights}")


def load_loss(loss: Optional[paddle.nn.Layer], checkpoint: Checkpoint) -> None:
    """Load the parameters of a loss that has some (centers of classes); PaddleClas saves them with the model's."""
    if loss is not None and loss.parameters():
        loss.set_state_dict(checkpoints.read_weights(checkpoint))


@contextmanager
def naming(checkpoint: Checkpoint) -> Iterator[None]:
    """Name the checkpoint in what is wrong with it."""
    try:
        yield
    except SlimError as error:
        raise SlimError(f"{checkpoint.weights}: {error}") from None


def resume(
    checkpoint: Checkpoint,
    progress: Progress,
    net: paddle.nn.Layer,
    optimizers: Sequence[Optimizer],
    loss: Optional[paddle.nn.Layer] = None,
    ema: Optional[paddle.nn.Layer] = None,
) -> dict[str, Any]:
    """Load everything that a training goes on with.

    Args:
        checkpoint: ``Global.checkpoints``.
        progress: of this training, which becomes that of the checkpoint.
        net: the model, or ``DataParallel`` around it.
        optimizers: one or several.
        loss: may have parameters.
        ema: moving average of the weights.

    Returns:
        ``epoch``, after which PaddleClas's loop goes on, and ``metric``, which it compares later epochs with.

    Raises:
        SlimError: a file of the checkpoint is missing, damaged or of another model.
    """
    path_prefix = checkpoint.path_prefix

    def load(suffix: str) -> Any:
        return checkpoints.load_file(checkpoints.with_suffix(path_prefix, suffix))

    weights, states = checkpoints.read_weights(checkpoint), load(checkpoints.STATES)
    saved = load(checkpoints.OPTIMIZER)
    if ema is not None:
        # PaddleClas keeps the averaged weights in .pdparams and the trained ones in .pdema.
        ema.set_state_dict(weights)
        weights = load(checkpoints.AVERAGED)
    checkpoints.load_exactly(unwrap(net), weights, checkpoint.weights)
    if loss is not None and loss.parameters():
        loss.set_state_dict(weights)
    for optimizer, state in zip(optimizers, saved if isinstance(saved, list) else [saved]):
        optimizer.set_state_dict(state)
    progress.resume(states.get(STATE, {}), path_prefix, states["epoch"])
    logger.info(f"ppcls_slim: resuming after epoch {states['epoch']} of {path_prefix}")
    return {"metric": progress.best.metric if progress.best else states["metric"], "epoch": states["epoch"]}
