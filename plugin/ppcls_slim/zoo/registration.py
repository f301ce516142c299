"""The names that ``Arch.name`` and ``DataLoader.*.dataset.name`` accept through the plugin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..compat.paddleclas.registry import add_names
from . import cifar_resnet
from .datasets.cifar10 import Cifar10Dataset
from .datasets.digits import DigitsDataset

BACKBONES: dict[str, Callable[..., Any]] = {**cifar_resnet.BACKBONES}
DATASETS: dict[str, Callable[..., Any]] = {one.__name__: one for one in (Cifar10Dataset, DigitsDataset)}


def register_names() -> None:
    """Let PaddleClas find them; names that it has itself stay its own."""
    add_names(DATASETS, BACKBONES)
