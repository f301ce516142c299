"""Prepare a model for quantization-aware training: calibrate and quantize it, or rebuild a quantized one."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any, Optional

from ..common.errors import SlimError
from ..compat.distributed import broadcast_from_rank0
from ..compat.paddle import paddle
from ..compat.qat_layers import is_moving_average, is_quantized_state
from ..compat.reparameterization import merge_branches
from ..config.quant import QuantConfig
from .alpha_history import AlphaHistory, note_alphas
from .bias_correction import Layers, prepare_correction
from .calibrate import observe
from .equalize import equalize
from .fake_quant import insert_fake_quants
from .fold_bn import find_pairs, fold
from .layers import choose_layers, quantizable_layers, quantized_layers
from .observer import input_range, observer_of
from .record import QuantRecord


def quantize(
    model: paddle.nn.Layer,
    settings: QuantConfig,
    batches: Iterable[Any],
    run: Callable[[Any], Any],
    trains: bool = True,
    input_shape: Sequence[int] = (),
    left_float: Mapping[str, str] = MappingProxyType({}),
) -> QuantRecord:
    """Quantize a float model that has its weights, in place.

    Args:
        model: dense or pruned.
        settings: ``Slim.quant``.
        batches: training data, for calibration.
        run: feeds a batch to the model.
        trains: whether training follows, see ``batch_statistics`` of :func:`.observe`.
        input_shape: ``[C, H, W]``, for ``Slim.quant.equalize``.
        left_float: layers that are not quantized, beside those of ``Slim.quant.skip`` -> reason.

    Raises:
        SlimError: there is nothing to fold or to equalize; see also :func:`.choose_layers` and
            :func:`.insert_fake_quants`.
    """
    merge_branches(model)
    folded: dict[str, str] = {}
    if settings.fuse_conv_bn:
        folded = find_pairs(model, lambda: run(next(iter(batches))))
        if not folded:
            raise SlimError("Slim.quant.fuse_conv_bn: no convolution is followed by batch normalization; remove it")
        fold(model, folded)
    if settings.equalize and not equalize(model, input_shape):
        raise SlimError(
            "Slim.quant.equalize: no convolution reads another with nothing but batch normalization and ReLU "
            "between them; remove it"
        )
    # One batch runs even without calibration: layers that never run (merged branches) are not quantized.
    count = max(settings.calibration_batches, 1)
    observer = observer_of(settings, trains)
    layers = quantizable_layers(model, settings)
    correct: Optional[Callable[[Layers], list[str]]] = None
    if settings.bias_correction:
        batches = list(islice(batches, count))  # the same ones, before and after quantizing
        correct = prepare_correction(model, layers, batches, run) if batches else None
    seen = observe(model, layers, batches, run, count, batch_statistics=trains, histograms=observer.needs_histogram)
    # Every process saw other batches.
    ranges = broadcast_from_rank0(lambda: {name: input_range(one, settings, observer) for name, one in seen.items()})
    for name, one in ranges.items():
        # Paddle 2.6 passes over NaN in the smallest and the largest value; the mean does not.
        if not all(map(math.isfinite, (one.low, one.input_scale, one.mean_magnitude))):
            raise SlimError(f"the input of {name} is not finite on calibration data: give sound weights and images")
    record = choose_layers(model, settings, ranges, folded, left_float)
    insert_fake_quants(model, record, ranges if settings.calibration_batches else None)
    if correct is not None:
        correct(quantized_layers(model, record))
    return record


def rebuild(model: paddle.nn.Layer, record: QuantRecord, for_export: bool = False) -> None:
    """Quantize a model whose weights are loaded afterwards.

    Args:
        model: dense or pruned.
        record: how the weights were quantized.
        for_export: leave out what the exported operators cannot express, see :func:`.insert_fake_quants`.

    Raises:
        SlimError: the record belongs to another model.
    """
    merge_branches(model)
    if record.fused:
        fold(model, record.fused)
    insert_fake_quants(model, record, for_export=for_export)


def refuse_quantized(weights: Iterable[str], source: Path) -> None:
    """Refuse weights of a quantized model without a sidecar file, of which PaddleClas would silently load nothing.

    Args:
        weights: their names.
        source: the file.

    Raises:
        SlimError: they belong to a quantized model.
    """
    if is_quantized_state(weights):
        raise SlimError(
            f"{source} holds a quantized model, and its .slim.json, which says how, is missing: copy that file too"
        )


def after_epoch(model: paddle.nn.Layer, record: QuantRecord, epoch: int, history: AlphaHistory) -> None:
    """Average the scales over the processes, and note the alphas.

    Args:
        model: quantized, without ``DataParallel`` around it.
        record: how it was quantized.
        epoch: number of the epoch.
        history: of the alphas; grows by this epoch.

    Raises:
        SlimError: an alpha is not a positive finite number.
    """
    _average_scales(model)
    note_alphas(model, record, epoch, history)


def _average_scales(model: paddle.nn.Layer) -> None:
    """Average all moving averages over the processes; DataParallel leaves each process its own."""
    processes = paddle.distributed.get_world_size()
    if processes == 1:
        return
    for name, tensor in model.state_dict().items():
        if is_moving_average(name):
            paddle.distributed.all_reduce(tensor)
            tensor.set_value(tensor / processes)
