"""PaddleSlim 2.6.0's QAT and what lies below it in Paddle 2.6.2 and 3.3.1."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from .old_functions import traced_into_old_programs
from .paddle_lines import paddle
from .paddleslim_mends import load_paddleslim, old_programs
from .ppcls_mends import replaced


def quant_layers() -> Any:
    """Paddle's module of fake quantizers and quantized layers."""
    from paddle.nn.quant import quant_layers

    return quant_layers


def load_qat(options: dict[str, Any], **hooks: Any) -> Any:
    """Return what ``paddleslim.dygraph.quant.QAT`` drives: ``quantize(model)`` and ``save_quantized_model``.

    ``QAT.quantize`` itself also deep-copies the float model when there is a preprocess, keeps the copy, exports it
    and leaves static mode on.

    Args:
        options: PaddleSlim's configuration.
        hooks: ``weight_preprocess``, ``act_preprocess``, ``weight_quantize``, ``act_quantize``: classes or None.
    """
    load_paddleslim()
    from paddleslim.dygraph.quant import QAT

    return QAT(config=options, **hooks).imperative_qat


def save_quantized(quantizer: Any, model: paddle.nn.Layer, path: Path, spec: Any) -> None:
    """``save_quantized_model`` that leaves nothing behind: no variables, no static mode.

    Args:
        quantizer: from :func:`load_qat`.
        model: quantized, in evaluation mode; it cannot be deep-copied afterwards.
        path: without suffix.
        spec: ``InputSpec`` of the input.

    Raises:
        SlimError: the model calls a function that cannot be written, see :func:`traced_into_old_programs`.
    """
    from paddle.quantization.imperative import utils

    scope = paddle.static.Scope()
    try:
        with (
            paddle.static.scope_guard(scope),
            replaced(utils, fp_numpy_to_naive=_naive),
            old_programs(),
            traced_into_old_programs(),
        ):
            quantizer.save_quantized_model(model, str(path), input_spec=[spec])
    finally:
        paddle.disable_static()


def _naive(value: np.ndarray) -> Any:
    """``float(array)`` of one element in an axis, which NumPy 2.4 refuses (Paddle 2.6.2 and 3.3.1 do it)."""
    return float(value.reshape(-1)[0]) if value.size == 1 else value.tolist()


def not_taken_for_int8(model: paddle.nn.Layer, quantized: set[int]) -> None:
    """Keep oneDNN from taking float weights that are whole numbers for int8 ones.

    ``quant_dequant_onednn_pass`` (2.6.2, 3.3.1) calls a weight int8 when none of its values has a fraction, and
    then stops with ``Could not find threshold information``: a convolution with constant zeros and ones, say.
    One value of such a weight is moved by one unit in its last place.

    Args:
        model: about to be saved.
        quantized: ids of the weights that are quantized.
    """
    for tensor in model.state_dict().values():
        if id(tensor) in quantized or tensor.ndim not in (2, 4):
            continue
        values = tensor.numpy()
        if values.dtype == np.float32 and values.size and not np.any(values % 1):
            place = int(np.abs(values).argmax())
            moved = np.nextafter(values.reshape(-1)[place], np.float32(np.inf), dtype=np.float32)
            values.reshape(-1)[place] = max(moved, np.float32(1e-30))
            tensor.set_value(values)


@contextmanager
def quiet_passes() -> Iterator[None]:
    """Keep the graph passes' own lines (a hundred for int8) off stdout.

    They are written by C++ without regard to ``disable_glog_info`` (2.6.2, 3.3.1).
    """
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        ctypes.CDLL(None).fflush(None)  # what C++ still holds back belongs to nowhere too
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)
