"""Weights as safetensors, a format that holds tensors and cannot run code.

PaddleClas reads ``.pdparams`` only, and resumes from them. What it need not read (the model without its zeroed
filters) is written in both formats, and ``Global.pretrained_model`` may name either.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors.numpy

from ..common.errors import SlimError
from ..compat.paddle import paddle


def write(weights: Mapping[str, paddle.Tensor], path: Path) -> None:
    """Write tensors by name."""
    arrays = {name: np.ascontiguousarray(tensor.numpy()) for name, tensor in weights.items()}
    safetensors.numpy.save_file(arrays, path)


def read(path: Path, content: bytes) -> dict[str, paddle.Tensor]:
    """Return tensors by name.

    Args:
        path: for messages.
        content: of the file.

    Raises:
        SlimError: it is damaged, or is another kind of file.
    """
    try:
        return {name: paddle.to_tensor(value) for name, value in safetensors.numpy.load(content).items()}
    except Exception as error:  # it has errors of its own, and NumPy's
        raise SlimError(f"{path} cannot be loaded ({error}): it is cut off or is not a safetensors file") from None
