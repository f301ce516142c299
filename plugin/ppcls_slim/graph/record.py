"""Record the program that a model runs, without computing anything.

The model's own ``forward`` is called once in static mode. Recording takes 0.05 s for ResNet50, half a
second for HRNet; weights are neither read nor copied.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Optional

import numpy as np

from ..compat.paddle import is_pir, paddle
from ..compat.patching import attribute_restored
from ..compat.reparameterization import run_as_merged
from ..compat.tracing import watch_layer_calls, without_annotations
from .legacy_ir import LegacySession
from .model import tensors_of
from .pir import PirSession
from .program import Program
from .session import Session

BATCH = 2
"""Images in the recorded batch: ``squeeze()`` would remove a batch of one."""


def record(
    model: paddle.nn.Layer,
    input_shape: Sequence[int],
    dtype: str = "float32",
    training: bool = True,
    merged: bool = False,
    shapes: Optional[Mapping[str, Sequence[int]]] = None,
    contents: Optional[Mapping[str, np.ndarray]] = None,
) -> Program:
    """Record the forward pass of a model.

    Args:
        model: left as it is, its mode included.
        input_shape: without the batch, for example ``[3, 224, 224]``.
        training: record the pass of training or of evaluation. Only the flags are set: an ``eval()``
            that rewrites the model, as some re-parameterizable backbones have, is not called.
        merged: record re-parameterizable blocks as they run after their branches have been merged.
        shapes: name -> shape, for parameters that are recorded as smaller than they are.
        contents: name -> content, for buffers of whole numbers that are recorded with another content.

    Returns:
        The program. A forward pass that raises gives a program with an ``error``.
    """
    kind = PirSession if is_pir() else LegacySession
    session = kind(tensors_of(model), dict(shapes or {}), dict(contents or {}))
    dynamic = paddle.in_dynamic_mode()
    paddle.enable_static()
    try:
        with (
            _training(model, training),
            run_as_merged(model) if merged else contextlib.nullcontext(),
            without_annotations(),
            session,
            _owners(model, session),
        ):
            image = session.data("ppcls_slim_image", [BATCH, *input_shape], dtype)
            try:
                session.returned = model(image)
            except Exception as error:  # whatever the model's code raises: it is part of the answer
                session.error = f"{type(error).__name__}: {str(error).strip().splitlines()[0][:160]}"
            return session.read()
    finally:
        if dynamic:
            paddle.disable_static()


@contextlib.contextmanager
def _training(model: paddle.nn.Layer, training: bool) -> Iterator[None]:
    """Set the flag ``training`` of every layer, and put back what was there."""
    layers = model.sublayers(include_self=True)
    with attribute_restored(layers, "training"):
        for layer in layers:
            layer.training = training
        yield


@contextlib.contextmanager
def _owners(model: paddle.nn.Layer, session: Session) -> Iterator[None]:
    """Note, while the model runs, which layer's forward starts and ends at which operation."""
    names = {id(layer): name for name, layer in model.named_sublayers(include_self=True)}

    def start(layer: paddle.nn.Layer) -> None:
        session.marks.append((session.position(), names.get(id(layer), "")))

    def end(layer: paddle.nn.Layer) -> None:
        session.marks.append((session.position(), None))

    with watch_layer_calls(start, end):
        yield
