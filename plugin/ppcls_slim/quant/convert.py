"""Convert a trained quantized model to int8: a fresh model without PACT, with its final scales, and its files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.onednn import keep_float_weights
from ..compat.paddle import paddle
from ..compat.qat_export import save_quantized
from ..compat.qat_layers import (
    input_quantizer,
    keep_weight_scale,
    load_qat,
    moving_average_tensors,
    stored_scale,
    weight_preprocess,
    weight_quantizer,
)
from .fake_quant import paddleslim_options
from .layers import quantized_layers
from .prepare import rebuild
from .quantizer import Quantizer, quantizer_of
from .record import QuantRecord


def convert_weights(trained: paddle.nn.Layer, fresh: paddle.nn.Layer, record: QuantRecord) -> None:
    """Copy what the trained model has learned into a model that was rebuilt ``for_export``.

    PACT is not exported. A scale above alpha is lowered to alpha, so that clipping at the scale has the same effect;
    a one-sided alpha becomes the scale, as does the largest value that LSQ represents. The preprocessing of weights
    is applied to them once.

    Raises:
        SlimError: the two models are not the same.
    """
    state = trained.state_dict()
    quantizer = quantizer_of(record.settings)
    sources, targets = (quantized_layers(model, record) for model in (trained, fresh))
    converted: set[int] = set()  # ids of the tensors that are not copied by name
    scales: dict[str, np.ndarray] = {}
    for name, target in targets.items():
        source = sources[name]
        if quantizer.input_limit(source) is not None and stored_scale(input_quantizer(target)) is not None:
            scale, *sums = moving_average_tensors(input_quantizer(target))
            scale.set_value(paddle.full([1], _scale(source, quantizer), scale.dtype))
            converted.update(id(tensor) for tensor in (scale, *sums))
        weight, preprocess = source.weight, weight_preprocess(source)
        if preprocess is not None:
            with paddle.no_grad():
                weight = preprocess(weight)
        exported = quantizer.export_weight(source, weight)
        if exported is not None:
            weight, scales[name] = exported
            converted.add(id(stored_scale(weight_quantizer(target))))
        target.weight.set_value(weight)
        converted.add(id(target.weight))
    for key, tensor in fresh.state_dict().items():
        if id(tensor) in converted:
            continue
        if key not in state:
            raise SlimError(f"the model built for export has {key}, which the trained one does not have")
        tensor.set_value(state[key])
    for name, scale in scales.items():
        keep_weight_scale(targets[name], scale)
    keep_float_weights(fresh, {id(layer.weight) for layer in targets.values()})


def int8_model(trained: paddle.nn.Layer, float_model: paddle.nn.Layer, record: QuantRecord) -> paddle.nn.Layer:
    """Make the model that is exported in int8, with the trained scales and weights.

    Args:
        trained: quantized.
        float_model: dense or pruned as the trained one was before, with any weights; becomes the result.
        record: how it was quantized.

    Raises:
        SlimError: int8 cannot express what was trained.
    """
    with paddle.utils.unique_name.guard():
        rebuild(float_model, record, for_export=True)
    convert_weights(trained, float_model, record)
    return float_model


def input_scale(layer: paddle.nn.Layer, record: QuantRecord) -> Optional[float]:
    """Return the largest input that a trained layer does not clip; None where its quantizer keeps no scale."""
    return _scale(layer, quantizer_of(record.settings))


def _scale(layer: paddle.nn.Layer, quantizer: Quantizer) -> Optional[float]:
    stored = stored_scale(input_quantizer(layer))
    limits = (quantizer.input_limit(layer), None if stored is None else float(stored.item()))
    return min((limit for limit in limits if limit is not None), default=None)


def save(model: paddle.nn.Layer, record: QuantRecord, images: np.ndarray, shape: Sequence[int], path: Path) -> None:
    """Write ``path.pdmodel`` and ``path.pdiparams``.

    Args:
        model: wrapped for export, with converted weights; it cannot be deep-copied afterwards.
        record: how it was quantized.
        images: inputs ``[n, C, H, W]``. A forward pass of two of them updates the stored scales of the weights, which
            training leaves as they were before the last step (not those that LSQ learned).
        shape: ``[C, H, W]``.
        path: without suffix.

    Raises:
        SlimError: int8 cannot express what was trained.
    """
    reason = record.settings.int8_refused
    if reason:
        raise SlimError(f"{reason}: such a model can be trained and evaluated, not exported to int8")
    with paddle.no_grad():
        model(paddle.to_tensor(images[:2]))
    spec = paddle.static.InputSpec(shape=[None, *shape], dtype="float32", name="x")
    save_quantized(load_qat(paddleslim_options(record.settings)), model, path, spec)
