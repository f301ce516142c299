"""CIFAR-10 for ``DataLoader.*.dataset``, from the file that ``prepare-cifar10`` wrote."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ...common.errors import SlimError, did_you_mean
from ...compat.paddle import paddle
from ...compat.paddleclas.find import find_ppcls

find_ppcls()
from ppcls.data.dataloader.common_dataset import create_operators  # noqa: E402  (PaddleClas was found)
from ppcls.data.preprocess import transform  # noqa: E402

SPLITS = ("train", "test")


class Cifar10Dataset(paddle.io.Dataset):
    """50,000 training and 10,000 test images of 32x32 pixels, kept in memory.

    An item is ``(image [3, 32, 32], label)``. The usual augmentation of training images is ``crop_padding: 4`` and
    ``flip: True``; they are normalized by PaddleClas's ``NormalizeImage`` in ``transform_ops``. Random numbers come
    from NumPy's global generator, which the engine seeds in every epoch.

    Args:
        data_file: the ``.npz``.
        split: ``train`` or ``test``.
        crop_padding: pixels of black around the image before a random 32x32 crop; 0 does not crop.
        flip: mirror left to right with probability 0.5.
        transform_ops: PaddleClas's operators on uint8 RGB ``[32, 32, 3]``, after crop and flip.

    Raises:
        SlimError: there is no such split, or the file is missing, damaged or not CIFAR-10.
    """

    def __init__(
        self,
        data_file: str,
        split: str,
        crop_padding: int = 0,
        flip: bool = False,
        transform_ops: Optional[Sequence[Any]] = None,
    ):
        super().__init__()
        if split not in SPLITS:
            near = did_you_mean(split, SPLITS)
            raise SlimError(f"Cifar10Dataset.split is '{split}'{near}; there are {' and '.join(SPLITS)}")
        if not isinstance(crop_padding, int) or crop_padding < 0:
            raise SlimError(f"Cifar10Dataset.crop_padding is {crop_padding}; give a number of pixels, 0 or more")
        images, self.labels = read_split(Path(data_file), split)
        border = ((0, 0), (crop_padding, crop_padding), (crop_padding, crop_padding), (0, 0))
        self.images = np.pad(images, border) if crop_padding else images
        self.crop_padding, self.flip = crop_padding, flip
        self._operators = create_operators(transform_ops) if transform_ops else []

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.int64]:
        image = self.images[index]
        if self.crop_padding:
            top, left = np.random.randint(0, 2 * self.crop_padding + 1, size=2)
            image = image[top : top + 32, left : left + 32]
        if self.flip and np.random.randint(2):
            image = image[:, ::-1]
        image = transform(image, self._operators)
        return np.ascontiguousarray(image.transpose(2, 0, 1)), self.labels[index]


def read_split(file: Path, split: str) -> tuple[np.ndarray, np.ndarray]:
    """Return images uint8 ``[n, 32, 32, 3]`` and labels int64 ``[n]``.

    Raises:
        SlimError: the file is missing, damaged or not CIFAR-10.
    """
    if not file.is_file():
        raise SlimError(f"dataset.data_file: there is no {file}; write it with tools/prepare_cifar10.py")
    try:
        with np.load(file) as stored:
            return stored[f"{split}_images"], stored[f"{split}_labels"]
    except (OSError, ValueError, KeyError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        reason = str(error).splitlines()[0][:120]
        raise SlimError(
            f"dataset.data_file: {file} is damaged or not what tools/prepare_cifar10.py writes ({reason})"
        ) from None
