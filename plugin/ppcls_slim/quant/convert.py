"""From a trained quantized model to int8 files: a fresh model without PACT, its scales final."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import numpy as np

from ..common.errors import SlimError
from ..compat.onednn.int8_passes import not_taken_for_int8, prepare_for_onednn
from ..compat.paddle import paddle
from ..compat.qat_layers import load_qat, save_quantized
from .methods import qat
from .methods.pact import Pact
from .record import QuantRecord

BATCH = 8  # images at a time where ranges are read off the exported model


def convert_weights(trained: paddle.nn.Layer, fresh: paddle.nn.Layer, record: QuantRecord) -> None:
    """Give a model built with ``for_export`` what the trained one has learned.

    PACT is not exported: a scale above its alpha is lowered to it, so that clipping at the scale clips no later
    than training did. A one-sided alpha becomes the scale. What preprocesses weights is applied to them.

    Raises:
        SlimError: the two are not the same model.
    """
    state = trained.state_dict()
    have = fresh.state_dict()
    sources, targets = (qat.quantized_layers(model, record) for model in (trained, fresh))
    own: set[int] = set()
    for name, target in targets.items():
        source = sources[name]
        if _alpha(source) is not None and hasattr(target._fake_quant_input, "_scale"):
            quantizer = target._fake_quant_input
            quantizer._scale.set_value(paddle.full([1], input_scale(source), quantizer._scale.dtype))
            own |= {id(p) for p in (quantizer._scale, quantizer._state, quantizer._accum)}
        weight = source.weight
        if source._weight_preprocess is not None:
            with paddle.no_grad():
                weight = source._weight_preprocess(weight)
        target.weight.set_value(weight)
        own.add(id(target.weight))
    for key, tensor in have.items():
        if id(tensor) in own:
            continue
        if key not in state:
            raise SlimError(f"the model built for export has {key}, which the trained one has not")
        tensor.set_value(state[key])
    not_taken_for_int8(fresh, {id(layer.weight) for layer in targets.values()})


def input_scale(layer: Any) -> Optional[float]:
    """The largest input that a trained layer does not clip; None where its quantizer keeps no scale."""
    alpha, kept = _alpha(layer), getattr(layer._fake_quant_input, "_scale", None)
    known = [value for value in (alpha, None if kept is None else kept.item()) if value is not None]
    return min(known, default=None)


def _alpha(layer: Any) -> Any:
    for part in (layer._act_preprocess, layer._fake_quant_input):
        if isinstance(part, Pact):
            return part.alpha.item()
    return None


def save(model: paddle.nn.Layer, record: QuantRecord, images: np.ndarray, shape: list[int], path: Path) -> list[str]:
    """Write ``path.pdmodel`` and ``path.pdiparams``.

    Args:
        model: wrapped for export, quantized with ``for_export``; cannot be deep-copied afterwards.
        record: how it was quantized.
        images: inputs ``[n, C, H, W]``. One forward pass makes the stored weight scales those of the weights as
            they are (training leaves the scales of before the last step), and the ranges of residual sums are
            read off them.
        shape: ``[C, H, W]``.
        path: without suffix.

    Returns:
        Weights of linear layers with one scale for all columns on a CPU, see :func:`prepare_for_onednn`.

    Raises:
        SlimError: int8 cannot express what was trained.
    """
    reason = record.settings.int8_refused
    if reason:
        raise SlimError(f"{reason}: such a model can be trained and evaluated, not exported to int8")
    with paddle.no_grad():
        model(paddle.to_tensor(images[:2]))
    spec = paddle.static.InputSpec(shape=[None, *shape], dtype="float32", name="x")
    save_quantized(load_qat(qat.paddleslim_options(record.settings)), model, path, spec)
    return prepare_for_onednn(path, [images[start : start + BATCH] for start in range(0, len(images), BATCH)])
