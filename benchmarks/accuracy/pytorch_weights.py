"""Read PyTorch weights of a CIFAR ResNet, in safetensors, under Paddle's names.

Names are those of akamaster/pytorch_resnet_cifar10, which ``benchmarks/cifar10_repro`` keeps. Paddle stores the
weights of linear layers transposed (``[in, out]``), calls running statistics ``_mean`` and ``_variance``, and does
without ``num_batches_tracked``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ppcls_slim.common.errors import SlimError
from ppcls_slim.zoo.cifar_resnet import DEPTHS

_RENAMED = {"running_mean": "_mean", "running_var": "_variance"}


def read_safetensors(source: Path) -> dict[str, np.ndarray]:
    """Read all tensors as NumPy arrays.

    Raises:
        SlimError: no such file, or it is damaged or of another format.
    """
    from safetensors import SafetensorError  # start-up time: only this command needs it
    from safetensors.numpy import load_file

    if not source.is_file():
        raise SlimError(f"there is no file {source}; give the .safetensors with the weights")
    try:
        state: dict[str, np.ndarray] = load_file(source)
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise SlimError(f"{source} is damaged or not a safetensors file ({error})") from None
    return state


def to_paddle(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Rename and transpose: PyTorch's names and layout -> Paddle's, float32."""
    converted = {}
    for name, value in state.items():
        layer, _, kind = name.removeprefix("module.").rpartition(".")
        if kind == "num_batches_tracked":
            continue
        value = value.T if value.ndim == 2 else value  # linear: [out, in] -> [in, out]
        converted[f"{layer}.{_RENAMED.get(kind, kind)}"] = np.ascontiguousarray(value, dtype=np.float32)
    return converted


def depth_of(names: Iterable[str], source: Path) -> int:
    """Number of layers of the CIFAR ResNet that has these weights.

    Raises:
        SlimError: there is no such network.
    """
    names = sorted(names)
    blocks = {found[1] for name in names if (found := re.search(r"\blayer1\.(\d+)\.", name))}
    depth = 6 * len(blocks) + 2
    if depth not in DEPTHS:
        raise SlimError(
            f"{source} does not hold a CIFAR ResNet of {', '.join(map(str, DEPTHS))} layers: it has {len(blocks)} "
            f"blocks layer1.*, its first names are {', '.join(names[:3])}"
        )
    return depth
