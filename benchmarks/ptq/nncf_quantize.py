"""NNCF's post-training quantization of an OpenVINO model, with its own defaults."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from ppcls_slim.common.errors import SlimError


def nncf_quantize(ir: Path, images: np.ndarray, left_float: Sequence[str] = ()) -> Callable[[np.ndarray], np.ndarray]:
    """Quantize an IR with ``nncf.quantize``, and return what runs the result, in FP32 where it is not int8.

    Args:
        ir: the ``.xml`` of the float model.
        images: of calibration, ``[n, C, H, W]``; NNCF takes all of them, one by one, as its statistics are meant.
        left_float: types of operators that NNCF is told to leave float.

    Raises:
        SlimError: NNCF is not installed.
    """
    if importlib.util.find_spec("nncf") is None:
        raise SlimError("NNCF is not installed: pip install nncf, or leave nncf out of --ways")
    # Packages that this comparison alone needs.
    import nncf

    from ppcls_slim.compat.openvino_core import core  # needs the extra [openvino]

    data = nncf.Dataset([image[None] for image in images])
    ignored = nncf.IgnoredScope(types=list(left_float)) if left_float else None
    quantized = nncf.quantize(core().read_model(str(ir)), data, subset_size=len(images), ignored_scope=ignored)
    options = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    compiled = core().compile_model(quantized, "CPU", options)
    return lambda batch: np.asarray(compiled(batch)[0])
