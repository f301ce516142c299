"""Each quantized layer of an exported file against the trained one, on the inputs that it has in the file.

Untrained networks make one rounding of the first layers a difference of half their logits, so that logits cannot tell
a fault from rounding. A layer alone does: on the same input it rounds the same way.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoint import SIDECAR
from ..common.errors import SlimError
from ..compat.paddle import paddle
from ..compat.qat_layers import QuantizedOp, run_layers, save_parts
from ..deploy.runtime import NAME, Predictor
from ..graph.eval_mode import eval_mode
from ..quant import convert
from ..quant.methods import qat
from ..quant.record import QuantRecord

PARTS = 12
"""Into how many parts a network is cut for int8, at most."""
SCALE = 1e-4
"""Relative difference of scales that are the same."""
SAME = 0.9
"""Smallest cosine of weights that are the same ones, quantized or not."""


def largest_difference(
    model: paddle.nn.Layer, record: QuantRecord, exported: Path, images: np.ndarray
) -> tuple[float, str]:
    """Feed every trained layer with what its counterpart in the file is fed with.

    Args:
        model: trained, quantized.
        record: how.
        exported: the file without suffix.
        images: ``[n, C, H, W]``.

    Returns:
        The largest relative error of a layer's output in the 2-norm, and the layer.

    Raises:
        SlimError: the file has another scale of an input, a layer in float that training quantized, or a quantized
            one that the model has not.
    """
    called = _calls(model, record, images)
    errors = {"": 0.0}
    with eval_mode(model), paddle.no_grad():
        for op in run_layers(exported, images):
            place = next((i for i, (_, layer) in enumerate(called) if _same(layer.weight.numpy(), op.weight)), None)
            if place is None:
                if op.given is None:
                    continue  # float in training, too
                raise SlimError(f"the exported model quantizes {op.name}, which the trained one has not")
            name, layer = called.pop(place)
            if op.given is None:
                raise SlimError(f"the exported model has {name} in float, which training quantized")
            scale = convert.input_scale(layer)
            if scale is not None and not np.isclose(op.scale, scale, rtol=SCALE, atol=0):
                raise SlimError(f"the exported model quantizes the input of {name} up to {op.scale:g}, not {scale:g}")
            errors[name] = max(errors.get(name, 0.0), _error(layer, op))
    worst = max(errors, key=lambda name: errors[name])
    return errors[worst], worst


def errors_in_int8(exported: Path, images: np.ndarray) -> list[tuple[float, int]]:
    """Run the file in parts, in oneDNN's int8 and plainly, each on what the whole gives it when run plainly.

    Args:
        exported: the file without suffix.
        images: ``[n, C, H, W]``.

    Returns:
        Of each part the relative error of its output in the 2-norm, and how many layers it has.
    """
    errors = []
    with tempfile.TemporaryDirectory(dir=exported.parent) as folder:
        for part in save_parts(exported, images, Path(folder), PARTS):
            sidecar = part.folder / f"{NAME}{SIDECAR}"
            sidecar.write_text('{"quant": true}', encoding="utf-8")  # so that it runs in int8
            found = Predictor(part.folder)(part.given)
            size = max(float(np.linalg.norm(part.made)), 1e-12)
            errors.append((float(np.linalg.norm(found - part.made)) / size, part.layers))
    return errors


@contextmanager
def with_noise(model: paddle.nn.Layer, record: QuantRecord, size: float) -> Iterator[None]:
    """Add noise to what quantized layers give, for the length of a ``with`` block.

    Args:
        model: quantized.
        record: how.
        size: standard deviation of the noise, relative to that of the layer's output.
    """
    noise = np.random.default_rng(0)

    def noisy(layer: Any, inputs: Any, output: paddle.Tensor) -> paddle.Tensor:
        values = output.numpy()
        return output + paddle.to_tensor(
            (size * values.std() * noise.standard_normal(values.shape)).astype("float32")
        )

    hooks = [layer.register_forward_post_hook(noisy) for layer in qat.quantized_layers(model, record).values()]
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

    layers = qat.quantized_layers(model, record)
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
    expected = layer(paddle.to_tensor(op.given)).numpy()
    if layer.bias is not None:  # old programs add it in an operator of its own
        expected = expected - layer.bias.numpy().reshape([-1] + [1] * (layer.weight.ndim - 2))  # of channels, or last
    return float(np.linalg.norm(op.made - expected) / max(float(np.linalg.norm(expected)), 1e-12))
