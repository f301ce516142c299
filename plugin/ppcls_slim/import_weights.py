"""PyTorch weights of the CIFAR ResNets, in safetensors, as a checkpoint that ``Global.pretrained_model`` takes.

Names are those of akamaster/pytorch_resnet_cifar10, which ``benchmarks/cifar10_repro`` keeps. Paddle has
linear weights the other way round (``[in, out]``), calls running statistics ``_mean`` and ``_variance``,
and does without ``num_batches_tracked``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from . import checkpoint as checkpoints
from .arch.cifar_resnet import DEPTHS, CifarResNet
from .errors import SlimError
from .upstream.paddle_lines import paddle

ALPHAS = "alphas"  # PACT's clipping values, in the order of the forward pass: no parameter of the dense model
_RENAMED = {"running_mean": "_mean", "running_var": "_variance"}


def import_weights(source: Path, target: Path) -> str:
    """Convert a file and write ``<target>.pdparams``, and ``<target>.slim.json`` that says where it came from.

    Args:
        source: ``.safetensors``; any float type, written as float32.
        target: with or without ``.pdparams``.

    Returns:
        The ``Arch.name`` that the weights belong to.

    Raises:
        SlimError: no such file, no safetensors, or not the weights of a CIFAR ResNet.
    """
    state = read_safetensors(source)
    alphas = state.pop(ALPHAS, None)
    depth = _depth(state, source)
    weights = to_paddle(state)
    model = CifarResNet(depth, class_num=len(weights.get("linear.bias", ())) or 10)
    own = model.state_dict()
    weights.update({name: tensor.numpy() for name, tensor in own.items() if name.endswith(".place")})
    unknown = sorted(set(weights) - set(own))
    if unknown:
        raise SlimError(f"{source} has {unknown[0]}, which a CIFAR ResNet of {depth} layers has not")
    checkpoints.load_exactly(model, weights, source)
    stem = checkpoints.stem_of(str(target))
    imported = {"arch": f"CifarResNet{depth}", "file": source.name, "sha256": checkpoints.sha256(source)}
    if alphas is not None:
        imported["alphas"] = [float(value) for value in alphas]
    checkpoints.save(
        stem.parent,
        stem.name,
        lambda folder: paddle.save(model.state_dict(), str(folder / f"{stem.name}{checkpoints.WEIGHTS}")),
        checkpoints.sidecar(None, None, {"imported": imported}),
    )
    return imported["arch"]


def read_safetensors(source: Path) -> dict[str, np.ndarray]:
    """Read all tensors as NumPy arrays.

    Raises:
        SlimError: no such file, or it is damaged or of another format.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    if not source.is_file():
        raise SlimError(f"there is no file {source}; give the .safetensors with the weights")
    try:
        return load_file(source)
    except (SafetensorError, ValueError, KeyError, OSError) as error:
        raise SlimError(f"{source} is damaged or no safetensors file ({error})") from None


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


def _depth(state: Mapping[str, np.ndarray], source: Path) -> int:
    blocks = {found[1] for name in state if (found := re.search(r"\blayer1\.(\d+)\.", name))}
    depth = 6 * len(blocks) + 2
    if depth not in DEPTHS:
        names = ", ".join(sorted(state)[:3])
        raise SlimError(
            f"{source} holds no CIFAR ResNet of {', '.join(map(str, DEPTHS))} layers: it has {len(blocks)} blocks "
            f"layer1.*, its first names are {names}"
        )
    return depth
