"""PyTorch weights of the CIFAR ResNets, in safetensors, as a checkpoint that ``Global.pretrained_model`` takes.

Names are those of akamaster/pytorch_resnet_cifar10, which ``benchmarks/cifar10_repro`` keeps. Paddle has
linear weights the other way round (``[in, out]``), calls running statistics ``_mean`` and ``_variance``,
and does without ``num_batches_tracked``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import numpy as np

from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.prune.schedules.mask_state import CONVOLUTIONS, MaskState
from ppcls_slim.quant.calibrate import MinMaxObserver
from ppcls_slim.quant.methods import qat
from ppcls_slim.quant.record import QuantRecord
from ppcls_slim.zoo.cifar_resnet import DEPTHS, CifarResNet, rectifiers
from ppcls_slim.zoo.dorefa import dorefa_weight

ALPHAS = "alphas"  # PACT's clipping values, one vector in the order of the forward pass
IMAGE = (3, 32, 32)
_RENAMED = {"running_mean": "_mean", "running_var": "_variance"}


def import_weights(source: Path, target: Path, bits: Optional[int] = None, int8: bool = False) -> str:
    """Convert a file and write ``<target>.pdparams``, and ``<target>.slim.json`` that says where it came from.

    Args:
        source: ``.safetensors``; any float type, written as float32.
        target: with or without ``.pdparams``.
        bits: of a network trained with PACT and DoReFa's weights, which the file does not say.
        int8: write such a network for int8: DoReFa's weights as they come out of their quantizer, and a fake
            quantizer of 8 bits, its scale the clipping value, on the input of every convolution but the first.

    Returns:
        The ``Arch`` that the weights belong to, as ``-o`` options.

    Raises:
        SlimError: no such file, no safetensors, not the weights of a CIFAR ResNet, or PACT without ``bits``.
    """
    state = read_safetensors(source)
    alphas = state.pop(ALPHAS, None)
    if (alphas is None) != (bits is None):
        raise SlimError(
            f"{source} has no {ALPHAS}: it was not trained with PACT; leave --bits out"
            if alphas is None
            else f"{source} was trained with PACT and does not say with how many bits; give --bits"
        )
    if int8 and bits is None:
        raise SlimError("--int8 is for networks trained with PACT; quantize others with Slim.quant")
    depth = _depth(state, source)
    weights = to_paddle(state)
    classes = len(weights.get("linear.bias", ())) or 10
    model = CifarResNet(depth, class_num=classes, pact_bits=bits, weight_bits=None if int8 else bits)
    own = model.state_dict()
    if alphas is not None:
        names = rectifiers(model)
        if len(names) != len(alphas):
            raise SlimError(
                f"{source} has {len(alphas)} {ALPHAS}; a CIFAR ResNet of {depth} layers takes {len(names)}"
            )
        weights.update({f"{name}.alpha": np.float32([alpha]) for name, alpha in zip(names, alphas)})
    weights.update({name: tensor.numpy() for name, tensor in own.items() if name.endswith(".place")})
    unknown = sorted(set(weights) - set(own))
    if unknown:
        raise SlimError(f"{source} has {unknown[0]}, which a CIFAR ResNet of {depth} layers has not")
    checkpoints.load_exactly(model, weights, source)
    record = _for_int8(model, bits) if int8 and bits is not None else None
    stem = checkpoints.path_prefix_of(str(target))
    imported = {"file": source.name, "sha256": checkpoints.sha256(source)}
    checkpoints.save(
        stem.parent,
        stem.name,
        lambda folder: paddle.save(model.state_dict(), str(folder / f"{stem.name}{checkpoints.WEIGHTS}")),
        checkpoints.sidecar(None, record, {"imported": imported}, find_masked(weights)),
    )
    options = [f"Arch.name=CifarResNet{depth}"]
    options += [f"Arch.pact_bits={bits}"] if bits else []
    options += [f"Arch.weight_bits={bits}"] if bits and not int8 else []
    return " ".join(f"-o {option}" for option in options)


def _for_int8(model: CifarResNet, bits: int) -> QuantRecord:
    """Put DoReFa's weights and 8-bit fake quantizers into a network whose activations PACT quantizes."""
    layers = dict(model.named_sublayers())
    convolutions = [name for name, layer in layers.items() if isinstance(layer, paddle.nn.Conv2D)]
    # The input of a convolution is what the last ReLU before it gives, the stem's that of the first block.
    alphas = dict(zip(convolutions[1:], (layers[name].alpha.item() for name in rectifiers(model))))
    with paddle.no_grad():
        for name in alphas:
            layers[name].weight.set_value(dorefa_weight(layers[name].weight, bits))
    settings = QuantConfig(name="qat", skip=[convolutions[0], "linear"])
    reason = "full precision, as in the PACT paper"
    record = QuantRecord(settings, dict.fromkeys(alphas, qat.PLAIN), {convolutions[0]: reason, "linear": reason})
    ranges = {name: MinMaxObserver(inputs=[alpha]) for name, alpha in alphas.items()}
    qat.apply(model, record, ranges)
    return record


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


def find_masked(weights: Mapping[str, np.ndarray]) -> Optional[MaskState]:
    """Convolution filters that are all zero, as a training with ``layers: convolutions`` records them; None without.

    Whatever reads the checkpoint then removes them, and folds the constants that their normalization adds.
    """
    filters = {name: value for name, value in weights.items() if value.ndim == 4 and not name.endswith(".place")}
    chosen = {name: tuple(np.flatnonzero(~w.any(axis=(1, 2, 3))).tolist()) for name, w in filters.items()}
    zero, whole = sum(map(len, chosen.values())), sum(map(len, filters.values()))
    if not zero:
        return None
    settings = PruneConfig(pruned_ratio=round(zero / whole, 4), schedule={"name": "masked", "layers": CONVOLUTIONS})
    found = {name: positions for name, positions in chosen.items() if positions}
    return MaskState(CONVOLUTIONS, found, settings.model_dump(mode="json"), IMAGE)


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
