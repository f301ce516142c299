"""A deployment target is one file, found by its name."""

from __future__ import annotations

import importlib.metadata
import json
from pathlib import Path

import numpy as np
import pytest
from pydantic import BaseModel

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26


class Recorded(BaseModel):
    """Options of :class:`Numpy`."""

    digits: int = 3


class Numpy:
    """A target from outside: the weights of a linear layer as an ``.npz`` file."""

    Options = Recorded
    engine = "NumPy"
    baseline = "paddle_fp32"
    headings = ("dense", "NumPy")
    weights = "inference.npz"
    may_write = ("inference.npz",)

    def write(self, job, folder):
        digits = Recorded.model_validate(job.options).digits
        weight = job.model.state_dict()["1.weight"].numpy().round(digits)
        np.savez(folder / self.weights, weight=weight, bias=job.model.state_dict()["1.bias"].numpy())

    def recognizes(self, folder):
        return (folder / self.weights).is_file()

    def precisions(self, folder, device="cpu"):
        return ("auto",)

    def load(self, folder, device="cpu", threads=1, precision="auto"):
        stored = np.load(folder / self.weights)

        def run(images):
            return images.reshape(len(images), -1) @ stored["weight"] + stored["bias"]

        return run

    def verify(self, job, folder, expected):
        from ppcls_slim.deploy.target import Verified
        from ppcls_slim.verify import export_parity

        parity = export_parity.compare(expected, self.load(folder)(job.samples.images), job.samples.source)
        export_parity.check(parity, 1e-2)
        return Verified({"largest": parity.largest})


TARGET = Numpy()


@pytest.fixture
def outside(monkeypatch, ppcls_root):
    """The target of this file, installed as an entry point."""
    from ppcls_slim.deploy.target import TARGETS

    point = importlib.metadata.EntryPoint("numpy", f"{__name__}:TARGET", "ppcls_slim.targets")
    monkeypatch.setattr(TARGETS, "entry_points", lambda: {"numpy": point})


@pytest.fixture
def job(tmp_path, ppcls_root):
    from ppcls_slim.compat.paddleclas.logger import logger
    from ppcls_slim.deploy.job import ExportJob
    from ppcls_slim.verify.samples import Samples

    def linear():
        model = paddle.nn.Sequential(paddle.nn.Flatten(), paddle.nn.Linear(12, 5))
        model.eval()
        return model

    logger.init_logger()  # as PaddleClas's engine does
    images = np.random.default_rng(0).standard_normal((4, 3, 2, 2)).astype("float32")
    return ExportJob(
        folder=tmp_path / "inference",
        model=linear(),
        dense_model=linear,
        input_shape=(3, 2, 2),
        samples=Samples(images, "here"),
        sidecar=lambda verified: {"verified": dict(verified)},
    )


def test_a_target_is_a_file_of_its_folder(ppcls_root):
    from ppcls_slim.deploy import targets
    from ppcls_slim.deploy.target import TARGETS, Target, find_target

    files = {path.stem for path in Path(targets.__file__).parent.glob("[a-z]*.py")}
    assert files == set(TARGETS.names()) >= {"paddle_fp32", "paddle_int8"}
    for name in TARGETS.names():
        assert isinstance(find_target(name), Target)
        assert all(option.description for option in find_target(name).Options.model_fields.values())


def test_a_misspelt_target_is_one_line(ppcls_root):
    from ppcls_slim.deploy.target import find_target

    with pytest.raises(SlimError, match=r"did you mean 'paddle_int8'\?"):
        find_target("padle_int8")


def test_a_target_from_outside_is_exported_for_and_found_again(outside, job):
    from dataclasses import replace

    from ppcls_slim.deploy.export import export
    from ppcls_slim.deploy.target import target_of

    export(replace(job, targets=["numpy"]))
    folder = job.folder / "numpy"
    assert {file.name for file in folder.iterdir()} == {"inference.npz", "inference.yml"}
    target = target_of(folder)
    assert target is TARGET
    found = target.load(folder)(job.samples.images)
    np.testing.assert_allclose(found, job.model(paddle.to_tensor(job.samples.images)).numpy(), atol=0.02)


def test_what_does_not_compute_the_same_is_not_moved_into_place(outside, job):
    from dataclasses import replace

    from ppcls_slim.deploy.export import export

    with pytest.raises(SlimError, match="does not compute what the trained one does"):
        export(replace(job, options={"digits": 0}, targets=["numpy"]))
    assert list(job.folder.parent.rglob("*.*")) == []


def test_files_of_an_older_export_do_not_stay(job):
    from ppcls_slim.deploy.export import export
    from ppcls_slim.deploy.target import target_of

    job.folder.mkdir()
    (job.folder / "inference.slim.json").write_text(json.dumps({"quant": {"layers": {}}}))
    (job.folder / "mine.txt").write_text("kept")
    export(job)
    assert not (job.folder / "inference.slim.json").exists()  # or the float model would be run in int8
    assert (job.folder / "mine.txt").exists()
    assert target_of(job.folder).load(job.folder).precision == "fp32"


@pytest.mark.skipif(paddle.__version__.startswith("2."), reason="Paddle 3's programs only have these faults")
def test_what_paddles_defaults_cannot_run_says_how_to_run_it(job):
    from dataclasses import replace

    from ppcls_slim.deploy.export import export

    def leaky():
        layers = paddle.nn.Conv2D(3, 4, 1), paddle.nn.LeakyReLU(), paddle.nn.Flatten(), paddle.nn.Linear(16, 5)
        model = paddle.nn.Sequential(*layers)
        model.eval()
        return model

    export(replace(job, model=leaky(), dense_model=leaky))
    how_to = job.folder / "HOW_TO_RUN_FAST.txt"
    assert 'config.delete_pass("conv_activation_onednn_fuse_pass")' in how_to.read_text(encoding="utf-8")
    export(job)
    assert not how_to.exists()
