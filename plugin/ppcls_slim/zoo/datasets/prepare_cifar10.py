"""Write CIFAR-10 as one file, from the official archive or from the lossless PNG files of an npm package.

The file is an uncompressed ``.npz`` (photographs hardly compress) with ``train_images`` and
``test_images`` (uint8 ``[n, 32, 32, 3]``, RGB) and ``train_labels`` and ``test_labels`` (int64 ``[n]``), in the
official order. NumPy checks a CRC-32 of every array that it reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ...common.atomic import atomic_path
from ...common.errors import SlimError
from .cifar10_sources import BATCHES, PER_BATCH, read_source


def prepare(source: Path, target: Path) -> dict[str, np.ndarray]:
    """Check a source and write the data set as one file.

    Args:
        source: the official archive, the npm package, or the folder that the package unpacks to.
        target: the ``.npz``; it appears complete or not at all.

    Returns:
        What was written, name -> array.

    Raises:
        SlimError: the source is none of these, is incomplete, or is not the published data.
    """
    arrays: dict[str, Any] = read_source(source)
    _check(arrays, source)
    with atomic_path(target) as writing, writing.open("wb") as file:
        np.savez(file, **arrays)
    return arrays


def _check(arrays: dict[str, np.ndarray], source: Path) -> None:
    for split, images in (("train", len(BATCHES) * PER_BATCH), ("test", PER_BATCH)):
        shape, counts = arrays[f"{split}_images"].shape, np.bincount(arrays[f"{split}_labels"], minlength=10)
        if shape != (images, 32, 32, 3) or counts.tolist() != [images // 10] * 10:
            raise SlimError(f"{source}: its {split} images are {list(shape)} with {counts.tolist()} of each class")
