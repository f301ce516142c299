"""CIFAR-10 images as arrays: crop, flip and normalization, as ``cifar10_repro/cifar10.py`` does them on a GPU."""

from __future__ import annotations

import numpy as np

MEAN = np.float32([0.485, 0.456, 0.406])
STD = np.float32([0.229, 0.224, 0.225])
PAD = 4
CROP = 2 * PAD + 1
"""Places of a crop along a side."""


def augmented(images: np.ndarray, shift: np.ndarray, flip: np.ndarray) -> np.ndarray:
    """Return crops of the images padded with black, mirrored where asked.

    Args:
        images: uint8 ``[n, 32, 32, 3]``.
        shift: ``[n, 2]`` first row and column, 0 to 8.
        flip: bool ``[n]``.
    """
    padded = np.pad(images, ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0)))
    pixels = np.arange(images.shape[1])
    rows = shift[:, :1] + pixels
    columns = shift[:, 1:] + np.where(flip[:, None], pixels[::-1], pixels)
    return padded[np.arange(len(images))[:, None, None], rows[:, :, None], columns[:, None, :]]


def normalised(images: np.ndarray) -> np.ndarray:
    """Return float32 ``[n, 3, 32, 32]`` from uint8 ``[n, 32, 32, 3]``."""
    return np.ascontiguousarray(((images.astype(np.float32) / 255 - MEAN) / STD).transpose(0, 3, 1, 2))


def enlarge(images: np.ndarray, times: int) -> np.ndarray:
    """Return images ``[n, 3, h, w]`` in which every pixel stands ``times`` times along both sides."""
    return images if times == 1 else images.repeat(times, axis=2).repeat(times, axis=3)


def enlargement(arch: str) -> int:
    """Return how many times a network's images are enlarged: a CIFAR ResNet takes 32 pixels a side, others 64."""
    return 1 if arch.startswith("CifarResNet") else 2
