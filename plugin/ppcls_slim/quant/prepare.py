"""What the engine does with ``Slim.quant``: check, quantize, rebuild, and look after every epoch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Optional

from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.reparameterization import merge_branches
from ..config.quant import QuantConfig
from .calibrate import MinMaxObserver, observe
from .fold_bn import find_pairs, fuse
from .methods import qat
from .record import QuantRecord


def check(config: Any, slim: Any, checkpoint: Any, mode: str) -> None:
    """Refuse what cannot be done before anything is built.

    Args:
        config: PaddleClas configuration.
        slim: the validated section.
        checkpoint: the opened checkpoint, or None.
        mode: as for the engine.

    Raises:
        SlimError: with the remedy.
    """
    quantized = checkpoint is not None and checkpoint.quant is not None
    if (slim.quant or quantized) and config.get("AMP"):
        raise SlimError(
            "AMP: Paddle's fake quantizers run in float32 only; remove the AMP section (or set -o AMP=None) to train "
            "or evaluate a quantized model"
        )
    if quantized:
        if slim.prune is not None and slim.quant is None and mode == "train" and checkpoint.plan is None:
            raise SlimError(
                f"Slim.prune: {checkpoint.weights} is quantized already; prune the float model first, then quantize"
            )
        return
    if slim.quant is None:
        return
    if mode != "train":
        where = f"{checkpoint.weights} is float, and" if checkpoint is not None else "there is no checkpoint:"
        raise SlimError(
            f"Slim.quant: {where} {mode} needs a quantized checkpoint with its .slim.json; train it first, or remove "
            "Slim.quant to use the float model"
        )
    if config["Global"].get("checkpoints"):
        raise SlimError(
            f"Global.checkpoints: {checkpoint.weights} is float and cannot resume a quantized training; give it as "
            "Global.pretrained_model"
        )


def refuse_quantized(weights: Mapping[str, Any], source: Path) -> None:
    """Refuse weights of a quantized model whose sidecar file is missing.

    Raises:
        SlimError: PaddleClas would load nothing of it and not say so.
    """
    if any("_fake_quant_" in name for name in weights):
        raise SlimError(
            f"{source} holds a quantized model, and its .slim.json, which says how, is missing: copy that file too"
        )


def quantize(
    model: paddle.nn.Layer, settings: QuantConfig, batches: Iterable[Any], run: Callable[[Any], Any]
) -> QuantRecord:
    """Quantize a float model that has its weights, in place.

    Args:
        model: dense or pruned.
        settings: the section.
        batches: training data, for calibration.
        run: feeds a batch to the model.

    Raises:
        SlimError: see :func:`.qat.decide` and :func:`.qat.apply`.
    """
    merge_branches(model)
    fused: dict[str, str] = {}
    if settings.fuse_conv_bn:
        fused = find_pairs(model, lambda: run(next(iter(batches))))
        if not fused:
            raise SlimError("Slim.quant.fuse_conv_bn: no convolution is followed by batch normalization; remove it")
        fuse(model, fused)
    # One batch is run even without calibration: layers that never run (merged branches) are not quantized.
    count = max(settings.calibration_batches, 1)
    ranges = _agreed(observe(model, qat.candidates(model, settings), batches, run, count))
    record = qat.decide(model, settings, ranges, fused)
    qat.apply(model, record, ranges if settings.calibration_batches else None)
    return record


def rebuild(model: paddle.nn.Layer, record: QuantRecord, for_export: bool = False) -> None:
    """Quantize a model whose weights are loaded afterwards.

    Raises:
        SlimError: the record belongs to another model.
    """
    merge_branches(model)
    if record.fused:
        fuse(model, record.fused)
    qat.apply(model, record, for_export=for_export)


def _agreed(ranges: dict[str, MinMaxObserver]) -> dict[str, MinMaxObserver]:
    """The ranges of the first process, in all of them: each saw other batches."""
    distributed = paddle.distributed
    if distributed.get_world_size() == 1:
        return ranges
    distributed.init_parallel_env()
    box = [{name: vars(seen) for name, seen in ranges.items()}]
    distributed.broadcast_object_list(box, src=0)
    return {name: MinMaxObserver(**seen) for name, seen in box[0].items()}


def after_epoch(net: paddle.nn.Layer, epoch: int, metadata: dict[str, Any]) -> None:
    """Make the processes' moving averages one, look for alphas that ran away, and note them all.

    Args:
        net: the model, or ``DataParallel`` around it.
        epoch: number.
        metadata: of the checkpoint; ``alpha`` in it grows by this epoch: layer -> [[epoch, alpha], ...].

    Raises:
        SlimError: an alpha is 0, negative or no number.
    """
    model = net._layers if isinstance(net, paddle.DataParallel) else net
    _share_averages(model)
    note_alphas(model, epoch, metadata)


def note_alphas(model: paddle.nn.Layer, epoch: int, metadata: dict[str, Any]) -> None:
    """Append every alpha to ``metadata["alpha"]``; epoch 0 is what training starts from.

    Raises:
        SlimError: an alpha is 0, negative or no number.
    """
    history = metadata.setdefault("alpha", {})
    for name, layer in qat.pact_layers(model).items():
        layer.check()
        history.setdefault(name, []).append([epoch, round(layer.alpha.item(), 6)])


def _share_averages(model: paddle.nn.Layer) -> None:
    """Mean over the processes of all scales, which DataParallel leaves to each."""
    if paddle.distributed.get_world_size() == 1:
        return
    ends = ("._scale", "._state", "._accum")
    for name, tensor in model.state_dict().items():
        if name.endswith(ends) and "_weight" not in name:
            paddle.distributed.all_reduce(tensor)
            tensor.set_value(tensor / paddle.distributed.get_world_size())


def alpha_line(metadata: Mapping[str, Any]) -> Optional[str]:
    """One line on where alphas stand, or None without PACT; every layer's is in the sidecar file."""
    last = [values[-1][1] for values in (metadata.get("alpha") or {}).values() if values]
    return f"PACT: {len(last)} alphas, {min(last):.4g} to {max(last):.4g}" if last else None
