"""What a network is quantized with: ``ppcls_configs/cifar10/resnet20_pact.yaml``, without epochs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddleclas.config import read_yaml_config
from ppcls_slim.compat.paddleclas.types import ClasConfig

CONFIG = Path(__file__).resolve().parent.parent.parent / "ppcls_configs/cifar10/resnet20_pact.yaml"
BATCHES, BATCH = 8, 128
"""Calibration: the first 1024 training images as they are, neither cropped nor mirrored."""
SWITCHES = ("equalize", "bias_correction", "fuse_conv_bn")
TARGETS = ("paddle", "onnx", "openvino")
VERIFIED = 100
"""Samples that the export checks itself; the benchmark then counts on all."""


@dataclass(frozen=True)
class Setup:
    """A network and the images that it is measured on.

    Attributes:
        depth: of the CIFAR ResNet.
        weights: its trained float weights, ``.safetensors``.
        images: of the test split, the first ones.
    """

    depth: int
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
    config = read_yaml_config(CONFIG, [])
    config["Global"].update(
        epochs=0,
        eval_during_train=False,
        pretrained_model=str(checkpoint),
        output_dir=str(scratch / "output"),
        save_inference_dir=str(scratch / "inference"),
    )
    config["Arch"]["name"] = f"CifarResNet{setup.depth}"
    train = config["DataLoader"]["Train"]
    train["dataset"].update(crop_padding=0, flip=False)
    train["sampler"].update(batch_size=BATCH, shuffle=False)
    common = {"name": "pact", "calibration_batches": BATCHES, "verify_samples": VERIFIED}
    targets = list(TARGETS if quant else ("openvino",))
    config["Slim"] = {"quant": {**common, **quant} if quant else False, "deploy": {"targets": targets}}
    return config
