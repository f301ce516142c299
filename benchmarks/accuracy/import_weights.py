"""PyTorch weights of a CIFAR ResNet as a checkpoint that ``Global.pretrained_model`` takes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Optional

import numpy as np

from benchmarks.accuracy.pytorch_weights import depth_of, read_safetensors, to_paddle
from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig, ScheduleConfig
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.prune.schedules.mask_state import CONVOLUTIONS, MaskState
from ppcls_slim.quant.fake_quant import insert_fake_quants
from ppcls_slim.quant.observer import InputRange
from ppcls_slim.quant.quantizer import PLAIN
from ppcls_slim.quant.record import QuantRecord
from ppcls_slim.zoo.cifar_resnet import CifarResNet, relu_layers
from ppcls_slim.zoo.dorefa import dorefa_weight

ALPHAS = "alphas"
"""PACT's clipping values in the file: one vector in the order of the forward pass."""
IMAGE = (3, 32, 32)


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
        SlimError: no such file, not safetensors, not the weights of a CIFAR ResNet, or PACT without ``bits``.
    """
    state = read_safetensors(source)
    alphas = state.pop(ALPHAS, None)
    _check_bits(source, alphas is not None, bits, int8)
    depth = depth_of(state, source)
    weights = to_paddle(state)
    classes = len(weights.get("linear.bias", ())) or 10
    model = CifarResNet(depth, class_num=classes, pact_bits=bits, weight_bits=None if int8 else bits)
    if alphas is not None:
        weights.update(_named_alphas(model, alphas, source))
    own = model.state_dict()
    weights.update({name: tensor.numpy() for name, tensor in own.items() if name.endswith(".place")})
    unknown = sorted(set(weights) - set(own))
    if unknown:
        raise SlimError(f"{source} has {unknown[0]}, which a CIFAR ResNet of {depth} layers does not have")
    checkpoints.load_exactly(model, weights, source)
    record = _quantize_for_int8(model, bits) if int8 and bits is not None else None
    _save(model, target, source, record, find_masked(weights))
    options = [f"Arch.name=CifarResNet{depth}"]
    options += [f"Arch.pact_bits={bits}"] if bits else []
    options += [f"Arch.weight_bits={bits}"] if bits and not int8 else []
    return " ".join(f"-o {option}" for option in options)


def _check_bits(source: Path, by_pact: bool, bits: Optional[int], int8: bool) -> None:
    if by_pact and bits is None:
        raise SlimError(f"{source} was trained with PACT and does not say with how many bits; give --bits")
    if not by_pact and bits is not None:
        raise SlimError(f"{source} has no {ALPHAS}: it was not trained with PACT; leave --bits out")
    if int8 and bits is None:
        raise SlimError("--int8 is for networks trained with PACT; quantize others with Slim.quant")


def _named_alphas(model: CifarResNet, alphas: np.ndarray, source: Path) -> dict[str, np.ndarray]:
    names = relu_layers(model)
    if len(names) != len(alphas):
        raise SlimError(f"{source} has {len(alphas)} {ALPHAS}; this CIFAR ResNet takes {len(names)}")
    return {f"{name}.alpha": np.asarray([alpha], dtype=np.float32) for name, alpha in zip(names, alphas)}


def _save(
    model: CifarResNet, target: Path, source: Path, record: Optional[QuantRecord], masked: Optional[MaskState]
) -> None:
    prefix = checkpoints.path_prefix_of(str(target))
    imported = {"file": source.name, "sha256": checkpoints.sha256(source)}
    checkpoints.save(
        prefix.parent,
        prefix.name,
        lambda folder: paddle.save(model.state_dict(), str(folder / f"{prefix.name}{checkpoints.WEIGHTS}")),
        checkpoints.sidecar(None, record, checkpoints.Metadata(imported=imported), masked),
    )


def _quantize_for_int8(model: CifarResNet, bits: int) -> QuantRecord:
    """Put DoReFa's weights and 8-bit fake quantizers into a network whose activations PACT quantizes."""
    layers = dict(model.named_sublayers())
    convolutions = [name for name, layer in layers.items() if isinstance(layer, paddle.nn.Conv2D)]
    # The input of a convolution is what the last ReLU before it gives, the stem's that of the first block.
    alphas = dict(zip(convolutions[1:], (layers[name].alpha.item() for name in relu_layers(model))))
    with paddle.no_grad():
        for name in alphas:
            layers[name].weight.set_value(dorefa_weight(layers[name].weight, bits))
    settings = QuantConfig(name="qat", skip=[convolutions[0], "linear"])
    reason = "full precision, as in the PACT paper"
    record = QuantRecord(settings, dict.fromkeys(alphas, PLAIN), {convolutions[0]: reason, "linear": reason})
    ranges = {name: InputRange(0.0, alpha) for name, alpha in alphas.items()}
    insert_fake_quants(model, record, ranges)
    return record


def find_masked(weights: Mapping[str, np.ndarray]) -> Optional[MaskState]:
    """Convolution filters that are all zero, as a training with ``layers: convolutions`` records them; None without.

    Whatever reads the checkpoint then removes them, and folds the constants that their normalization adds.
    """
    filters = {name: value for name, value in weights.items() if value.ndim == 4 and not name.endswith(".place")}
    chosen = {name: tuple(np.flatnonzero(~w.any(axis=(1, 2, 3))).tolist()) for name, w in filters.items()}
    zero, whole = sum(map(len, chosen.values())), sum(map(len, filters.values()))
    if not zero:
        return None
    settings = PruneConfig(
        pruned_ratio=round(zero / whole, 4), schedule=ScheduleConfig(name="masked", layers="convolutions")
    )
    found = {name: positions for name, positions in chosen.items() if positions}
    return MaskState(CONVOLUTIONS, found, settings.model_dump(mode="json"), IMAGE)
