"""Each quantized layer of an exported file against the trained one, on the input that it has in the file.

In an untrained network, one value of the first layers that is rounded otherwise may change half of the logits, so
that logits do not tell a fault from rounding. A layer alone does: on the same input it rounds the same way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Optional

import numpy as np
from paddle.nn.quant.quant_layers import FakeQuantMovingAverageAbsMax

from ppcls_slim.checkpoint import SIDECAR
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.exported_layers import QuantizedOp, run_layers
from ppcls_slim.compat.exported_parts import save_parts
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.qat_layers import input_quantizer, set_input_quantizer, set_moving_average
from ppcls_slim.deploy.paddle_inference import NAME, Predictor
from ppcls_slim.graph.eval_mode import eval_mode
from ppcls_slim.quant import convert
from ppcls_slim.quant.layers import quantized_layers
from ppcls_slim.quant.quantizer import quantizer_of
from ppcls_slim.quant.record import QuantRecord

PARTS = 12
"""Into how many parts a network is split for int8, at most."""
SCALE = 1e-4
"""Relative difference of scales that are the same."""
SAME = 0.9
"""Smallest cosine of weights that are the same ones, quantized or not."""


def largest_difference(
    model: paddle.nn.Layer, record: QuantRecord, exported: Path, images: np.ndarray
) -> tuple[float, str]:
    """Run every trained layer on the input that its counterpart in the file has.

    Args:
        model: trained, quantized.
        record: how it is quantized.
        exported: the file without suffix.
        images: ``[n, C, H, W]``.

    Returns:
        The largest relative error of a layer's output in the 2-norm, and the layer.

    Raises:
        SlimError: the file has another scale of an input, a layer in float that training quantized, or a quantized
            one that the model does not have.
    """
    called = _calls(model, record, images)
    errors = {"": 0.0}
    with eval_mode(model), paddle.no_grad():
        for op in run_layers(exported, images):
            place = next((i for i, (_, layer) in enumerate(called) if _same(layer.weight.numpy(), op.weight)), None)
            if place is None:
                if op.input is None:
                    continue  # float in training, too
                raise SlimError(f"the exported model quantizes {op.name}, which the trained one does not have")
            name, layer = called.pop(place)
            scale = convert.input_scale(layer, record)
            _check_scale(name, op, scale)
            unsigned = scale is not None and record.layers[name] in quantizer_of(record.settings).unsigned
            with _signed_input(layer, scale) if unsigned and scale is not None else nullcontext():
                errors[name] = max(errors.get(name, 0.0), _error(layer, op))
    worst = max(errors, key=lambda name: errors[name])
    return errors[worst], worst


@contextmanager
def _signed_input(layer: Any, scale: float) -> Iterator[None]:
    """Quantize the input of a layer to signed integers, as a reference run does where training had unsigned ones."""
    trained, signed = input_quantizer(layer), FakeQuantMovingAverageAbsMax()
    signed.eval()
    set_moving_average(signed, scale)
    set_input_quantizer(layer, signed)
    try:
        yield
    finally:
        set_input_quantizer(layer, trained)


def _check_scale(name: str, op: QuantizedOp, trained: Optional[float]) -> None:
    if op.input is None or op.scale is None:
        raise SlimError(f"the exported model has {name} in float, which training quantized")
    if trained is not None and not np.isclose(op.scale, trained, rtol=SCALE, atol=0):
        raise SlimError(f"the exported model quantizes the input of {name} up to {op.scale:g}, not {trained:g}")


def errors_in_int8(exported: Path, images: np.ndarray) -> list[tuple[float, int]]:
    """Run the file in parts in oneDNN's int8, each on the input that it has in a reference run of the whole.

    Args:
        exported: the file without suffix.
        images: ``[n, C, H, W]``.

    Returns:
        For each part the relative error of its output in the 2-norm against the reference run, and how many layers
        it has.
    """
    errors = []
    with tempfile.TemporaryDirectory(dir=exported.parent) as folder:
        for part in save_parts(exported, images, Path(folder), PARTS):
            sidecar = part.folder / f"{NAME}{SIDECAR}"
            sidecar.write_text('{"quant": true}', encoding="utf-8")  # so that it runs in int8
            found = Predictor(part.folder)(part.input)
            size = max(float(np.linalg.norm(part.output)), 1e-12)
            errors.append((float(np.linalg.norm(found - part.output)) / size, part.layers))
    return errors


@contextmanager
def with_noise(model: paddle.nn.Layer, record: QuantRecord, size: float) -> Iterator[None]:
    """Add noise to the outputs of quantized layers, for the length of a ``with`` block.

    Args:
        model: quantized.
        record: how it is quantized.
        size: standard deviation of the noise, relative to that of the layer's output.
    """
    noise = np.random.default_rng(0)

    def noisy(layer: Any, inputs: Any, output: paddle.Tensor) -> paddle.Tensor:
        values = output.numpy()
        return output + paddle.to_tensor(
            (size * values.std() * noise.standard_normal(values.shape)).astype("float32")
        )

    hooks = [layer.register_forward_post_hook(noisy) for layer in quantized_layers(model, record).values()]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _calls(model: paddle.nn.Layer, record: QuantRecord, images: np.ndarray) -> list[tuple[str, Any]]:
    """Quantized layers in the order in which they are run."""
    called: list[tuple[str, Any]] = []

    def noted(name: str) -> Any:
        return lambda layer, inputs: called.append((name, layer))

    layers = quantized_layers(model, record)
    hooks = [layer.register_forward_pre_hook(noted(name)) for name, layer in layers.items()]
    try:
        with eval_mode(model), paddle.no_grad():
            model(paddle.to_tensor(images))
    finally:
        for hook in hooks:
            hook.remove()
    return called


def _same(ours: np.ndarray, theirs: np.ndarray) -> bool:
    if ours.shape != theirs.shape:
        return False
    product = float(np.vdot(ours, theirs))
    return product >= SAME * float(np.linalg.norm(ours)) * float(np.linalg.norm(theirs))


def _error(layer: Any, op: QuantizedOp) -> float:
    expected = layer(paddle.to_tensor(op.input)).numpy()
    if layer.bias is not None:  # legacy IR adds it in an operator of its own
        expected = expected - layer.bias.numpy().reshape([-1] + [1] * (layer.weight.ndim - 2))  # of channels, or last
    return float(np.linalg.norm(op.output - expected) / max(float(np.linalg.norm(expected)), 1e-12))
