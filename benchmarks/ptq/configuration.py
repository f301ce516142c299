"""The networks, and what they are quantized with: the configuration of their data, without epochs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddleclas.config import read_yaml_config
from ppcls_slim.compat.paddleclas.types import ClasConfig

CONFIGS = Path(__file__).resolve().parent.parent.parent / "ppcls_configs"
CIFAR10, DIGITS = CONFIGS / "cifar10/resnet20_pact.yaml", CONFIGS / "quickstart/digits_dense.yaml"
BATCHES, BATCH = 8, 128
"""Calibration: the first 1024 training images as they are, neither cropped nor mirrored."""
SWITCHES = ("equalize", "bias_correction", "fuse_conv_bn")
TARGETS = ("paddle", "onnx", "openvino")
VERIFIED = 100
"""Samples that the export checks itself; the benchmark then counts on all."""


@dataclass(frozen=True)
class Network:
    """A trained network.

    Attributes:
        arch: ``Arch.name``.
        config: of its data.
        weights: file or checkpoint of its float weights, in the folder that is given.
    """

    arch: str
    config: Path
    weights: str


NETWORKS = {
    **{f"ResNet-{n}": Network(f"CifarResNet{n}", CIFAR10, f"resnet{n}.safetensors") for n in (20, 32, 44, 56)},
    **{name: Network(name, DIGITS, f"{name}/best_model") for name in ("MobileNetV3_small_x0_35", "PPLCNet_x0_25")},
}


@dataclass(frozen=True)
class Setup:
    """A network and the images that it is measured on.

    Attributes:
        name: of the network.
        weights: its trained float weights, ``.safetensors`` or a checkpoint, path prefix.
        images: of the test split, the first ones.
    """

    name: str
    weights: Path
    images: int


def options_of(way: str) -> dict[str, Any]:
    """``mse+equalize`` -> the keys of ``Slim.quant``.

    Raises:
        SlimError: a word behind a plus is not an option.
    """
    observer, *switches = way.split("+")
    unknown = [one for one in switches if one not in SWITCHES]
    if unknown:
        raise SlimError(f"--ways {way}: '{unknown[0]}' is not an option; there are {', '.join(SWITCHES)}")
    return {"observer": observer, **dict.fromkeys(switches, True)}


def configuration(setup: Setup, checkpoint: Path, scratch: Path, quant: dict[str, Any]) -> ClasConfig:
    """Return the configuration of one way.

    Args:
        setup: the network.
        checkpoint: its weights for Paddle, path prefix.
        scratch: folder for what is written.
        quant: keys of ``Slim.quant``; empty for the float network.
    """
    network = NETWORKS[setup.name]
    config = read_yaml_config(network.config, [])
    config["Global"].update(
        epochs=0,
        eval_during_train=False,
        pretrained_model=str(checkpoint),
        output_dir=str(scratch / "output"),
        save_inference_dir=str(scratch / "inference"),
    )
    config["Arch"]["name"] = network.arch
    train = config["DataLoader"]["Train"]
    train["dataset"]["transform_ops"] = config["DataLoader"]["Eval"]["dataset"]["transform_ops"]
    if network.config == CIFAR10:
        train["dataset"].update(crop_padding=0, flip=False)
    train["sampler"].update(batch_size=BATCH, shuffle=False)
    common = {"name": "pact", "calibration_batches": BATCHES, "verify_samples": VERIFIED}
    targets = list(TARGETS if quant else ("openvino",))
    config["Slim"] = {"quant": {**common, **quant} if quant else False, "deploy": {"targets": targets}}
    return config
