"""Load weights: dense ones as far as they fit, exactly, or with everything that a training goes on with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

from .. import checkpoint as checkpoints
from ..checkpoint import Checkpoint, Fit
from ..common.errors import SlimError
from ..compat.layers import unwrap
from ..compat.paddle import paddle
from ..compat.paddleclas.logger import logger, say
from ..compat.paddleclas.types import ClasConfig, Optimizer
from ..quant import prepare
from .progress import STATE, Progress
from .training_states import read_states

MAX_MISSING = 0.1
"""Share of a model's tensors that dense weights may lack."""


def load_what_fits(model: paddle.nn.Layer, checkpoint: Checkpoint, config: ClasConfig, untrained_head: bool) -> Fit:
    """Load dense weights, and say what stays as it was built.

    Args:
        model: dense.
        checkpoint: of dense weights.
        config: PaddleClas configuration.
        untrained_head: whether the classifier may stay untrained, if it has another number of classes.

    Returns:
        What became of the tensors.

    Raises:
        SlimError: a weight has another shape, too many are missing, or they are those of a quantized model.
    """
    weights, source = checkpoints.read_weights(checkpoint), checkpoint.weights
    prepare.refuse_quantized(weights, source)
    found = checkpoints.fit(model, weights, source, _class_numbers(config["Arch"]))
    _check_missing(found, weights, source, config)
    if found.classifiers and not untrained_head:
        name, (there, here) = next(iter(found.classifiers.items()))
        raise SlimError(f"{source}: {name} is for {there} classes and Arch.class_num is {here}: set it to {there}")
    checkpoints.load_fitting(model, weights, source, found)
    for name, (there, here) in found.classifiers.items():
        logger.info(
            f"ppcls_slim: {name} is for {there} classes in {source}, and for {here} here: it begins untrained"
        )
    unused = f"; {len(found.unused)} of the file are not in the model" if found.unused else ""
    logger.info(f"ppcls_slim: dense weights from {source}: {found.loaded} tensors{unused}")
    return found


def _check_missing(found: Fit, weights: Mapping[str, Any], source: Path, config: ClasConfig) -> None:
    if not found.missing:
        return
    what = (
        f"{source} lacks {len(found.missing)} tensors of the model of Arch "
        f"({100 * found.share_missing:.1f} %), such as {found.missing[0]}"
    )
    if found.share_missing > MAX_MISSING and not config["Global"].get("allow_missing_weights"):
        has = f"; it has {found.unused[0]}" if found.unused else ""
        raise SlimError(f"{what}{has}. Give weights of this Arch, or set Global.allow_missing_weights=True")
    logger.warning(f"ppcls_slim: {what}: they stay as they were built")


def _class_numbers(arch: Any) -> set[int]:
    """All numbers of classes that ``Arch`` names, those of its parts included."""
    if isinstance(arch, (list, tuple)):
        return set().union(*map(_class_numbers, arch))
    if not isinstance(arch, Mapping):
        return set()
    own = {value for key, value in arch.items() if key in ("class_num", "num_classes") and isinstance(value, int)}
    return own.union(*map(_class_numbers, arch.values()))


def load_arch_pretrained(model: paddle.nn.Layer, path: str, config: ClasConfig) -> None:
    """Load the file of ``Arch.pretrained`` into a backbone, as PaddleClas's ``load_dygraph_pretrain`` does.

    Args:
        model: a backbone.
        path: with or without ``.pdparams``.
        config: PaddleClas configuration.

    Raises:
        SlimError: see :func:`load_what_fits`; or the file holds a compressed model.
    """
    found = checkpoints.open_checkpoint(str(path), "Arch.pretrained")
    if found.plan is not None or found.quant is not None or found.masked is not None:
        raise SlimError(f"Arch.pretrained: {found.weights} is compressed: give it as Global.pretrained_model")
    load_what_fits(model, found, config, untrained_head=True)


def load_exactly(model: paddle.nn.Layer, checkpoint: Checkpoint) -> None:
    """Load weights that have to fit in every name and shape.

    Raises:
        SlimError: one does not.
    """
    checkpoints.load_exactly(model, checkpoints.read_weights(checkpoint), checkpoint.weights)
    logger.info(f"ppcls_slim: weights from {checkpoint.weights}")


def load_loss(loss: Optional[paddle.nn.Layer], checkpoint: Checkpoint) -> None:
    """Load the parameters of a loss that has some (centers of classes); PaddleClas saves them with the model's."""
    if loss is None or not loss.parameters():
        return
    weights = checkpoints.read_weights(checkpoint)
    if any(name in weights for name in loss.state_dict()):
        checkpoints.load_exactly(loss, weights, checkpoint.weights)
    else:
        logger.info(f"ppcls_slim: {checkpoint.weights} has no parameters of Loss: they begin untrained")


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
    weights, states = checkpoints.read_weights(checkpoint), read_states(checkpoint)
    saved = checkpoint.load(checkpoints.OPTIMIZER)
    if ema is not None:
        # PaddleClas keeps the averaged weights in .pdparams and the trained ones in .pdema.
        ema.set_state_dict(weights)
        weights = checkpoints.read_weights(checkpoint, checkpoints.AVERAGED)
    checkpoints.load_exactly(unwrap(net), weights, checkpoint.weights)
    if loss is not None and loss.parameters():
        checkpoints.load_exactly(loss, weights, checkpoint.weights)
    shapes = {parameter.name: list(parameter.shape) for parameter in net.parameters()}
    _load_optimizers(optimizers, saved if isinstance(saved, list) else [saved], checkpoint, shapes)
    progress.resume(states.get(STATE, {}), path_prefix, states["epoch"])
    say(f"ppcls_slim: resuming after epoch {states['epoch']} of {path_prefix}")
    return {"metric": progress.best.metric if progress.best else states["metric"], "epoch": states["epoch"]}


def _load_optimizers(
    optimizers: Sequence[Optimizer], saved: Sequence[Any], checkpoint: Checkpoint, shapes: Mapping[str, list[int]]
) -> None:
    file = checkpoints.with_suffix(checkpoint.path_prefix, checkpoints.OPTIMIZER)
    if len(saved) != len(optimizers):
        raise SlimError(f"{file} holds {len(saved)} optimizers, and the configuration has {len(optimizers)}")
    for optimizer, state in zip(optimizers, saved):
        _check_shapes(state, shapes, file)
        try:
            optimizer.set_state_dict(state)
        except Exception as error:  # Paddle asserts, or fails where it does not
            reason = (str(error).strip().splitlines() or [type(error).__name__])[0][:120]
            raise SlimError(f"{file} does not fit the optimizer of the configuration ({reason})") from None


def _check_shapes(state: Any, shapes: Mapping[str, list[int]], file: Path) -> None:
    """Refuse states of parameters of other shapes, which Paddle would meet in the first step only.

    Args:
        state: of an optimizer; ``conv2d_0.w_0_velocity_0`` is one of the parameter ``conv2d_0.w_0``.
        shapes: of the parameters, by the names that Paddle gave them.
        file: for messages.
    """
    if not isinstance(state, dict):
        raise SlimError(f"{file} does not hold the states of an optimizer: restore it")
    for name, value in state.items():
        owner = next((one for one in shapes if str(name).startswith(f"{one}_")), None)
        found = list(value.shape) if hasattr(value, "shape") else f"a {type(value).__name__}"
        if owner is None or found in (shapes[owner], [], [1]):
            continue
        raise SlimError(f"{file}: {name} is {found} there, and the parameter is {shapes[owner]}")
