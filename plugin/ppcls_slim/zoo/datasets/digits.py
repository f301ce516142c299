"""scikit-learn's handwritten digits as image files: real data that every installation already has."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ...common.atomic import atomic_folder
from ...common.errors import SlimError
from ...compat.paddleclas.find import find_ppcls

find_ppcls()
from ppcls.data.dataloader.imagenet_dataset import ImageNetDataset  # noqa: E402  (PaddleClas was found)

SPLITS = ("train", "test")
_NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


class DigitsDataset(ImageNetDataset):
    """1,797 digits of 8x8 pixels (UCI ML hand-written digits, bundled with scikit-learn).

    The images are written as PNG files in ImageNet layout on first use, so that every tool that reads files (infer,
    predict) works with them: ``<image_root>/images/<split>/``, ``<split>_list.txt`` and
    ``labels.txt``. Four fifths of each class are for training, one fifth for testing.

    Args:
        image_root: folder to keep the files in.
        split: ``train`` or ``test``.
        transform_ops: PaddleClas's operators, the first of them ``DecodeImage``.

    Raises:
        SlimError: there is no such split.
    """

    def __init__(self, image_root: str, split: str, transform_ops: Optional[Sequence[Any]] = None):
        if split not in SPLITS:
            raise SlimError(f"DigitsDataset.split is '{split}'; there are {' and '.join(SPLITS)}")
        root = Path(image_root)
        write_digits(root)
        super().__init__(str(root), str(root / f"{split}_list.txt"), transform_ops)


def write_digits(root: Path) -> None:
    """Write the files if they are not there; several processes may do so at once."""
    if (root / "labels.txt").is_file():
        return
    # Start-up time: scikit-learn is needed once, to write the files.
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    order = np.arange(len(digits.target))
    parts = train_test_split(order, test_size=0.2, random_state=0, stratify=digits.target)
    with atomic_folder(root) as writing:
        for split, numbers in zip(SPLITS, parts):
            _write_split(writing, split, sorted(numbers), digits)
        labels = "".join(f"{i} {name}\n" for i, name in enumerate(_NAMES))
        (writing / "labels.txt").write_text(labels, encoding="utf-8")


def _write_split(root: Path, split: str, numbers: Sequence[int], digits: Any) -> None:
    from PIL import Image  # start-up time: only writing the files needs it

    folder = root / "images" / split
    folder.mkdir(parents=True)
    lines = []
    for number in numbers:
        label = int(digits.target[number])
        file = folder / f"{number:04d}_{label}.png"
        pixels = np.round(digits.images[number] * (255 / 16)).astype(np.uint8)
        Image.fromarray(pixels).save(file)
        lines.append(f"{file.relative_to(root).as_posix()} {label}\n")
    (root / f"{split}_list.txt").write_text("".join(lines), encoding="utf-8")
