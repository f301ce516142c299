"""A checkpoint is whole or it is the one before."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from conftest import ROOT
from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26


def save_number(folder, number, sidecar=None):
    """Save a checkpoint of two files that both say which save they come from."""

    def write(writing):
        (writing / "model").mkdir()
        paddle.save({"w": paddle.full([4], number)}, str(writing / "model/latest.pdparams"))
        paddle.save({"epoch": number}, str(writing / "model/latest.pdstates"))

    checkpoints.save(folder, "latest", write, sidecar or {"written_by": {}, "number": number})


def saved_number(folder):
    found = checkpoints.open_checkpoint(str(folder / "model/latest"), "Global.checkpoints")
    weights = checkpoints.read_weights(found)
    states = checkpoints.load_file(checkpoints.with_suffix(found.path_prefix, ".pdstates"))
    assert float(weights["w"][0]) == states["epoch"] == found.metadata.number
    return states["epoch"]


# Kills itself at a given moment of the second save.
KILLED = textwrap.dedent("""
    import os, signal, sys
    from pathlib import Path
    sys.path[:0] = [{plugin!r}, {tests!r}]
    from test_checkpoint import save_number
    from ppcls_slim.checkpoint import writing as files

    def die(*_, **__):
        os.kill(os.getpid(), signal.SIGKILL)

    moment, folder = sys.argv[1], Path(sys.argv[2])
    save_number(folder, 1)
    if moment == "writing":
        files.sha256 = die
    elif moment == "before the first move":
        files.finish_interrupted = lambda folder, calls=[]: calls.append(0) if not calls else die()
    else:
        replace = Path.replace
        def replace_once(source, target, calls=[]):
            calls.append(0)
            die() if len(calls) > 1 else replace(source, target)
        Path.replace = replace_once
    save_number(folder, 2)
""")


@pytest.mark.parametrize(
    ("moment", "expected"), [("writing", 1), ("before the first move", 2), ("between two moves", 2)]
)
def test_kill_9_in_the_middle_of_a_save_leaves_a_whole_checkpoint(tmp_path, moment, expected):
    program = KILLED.format(plugin=str(ROOT / "plugin"), tests=str(ROOT / "tests"))
    done = subprocess.run([sys.executable, "-c", program, moment, str(tmp_path)], capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert saved_number(tmp_path) == expected
    save_number(tmp_path, 3)
    assert saved_number(tmp_path) == 3
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


def test_a_save_that_fails_leaves_the_one_before(tmp_path):
    save_number(tmp_path, 1)

    def full_disk(writing):
        (writing / "latest.pdparams").write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        checkpoints.save(tmp_path, "latest", full_disk, None)
    assert saved_number(tmp_path) == 1


def test_loading_exactly_refuses_what_does_not_fit(tmp_path):
    layer = paddle.nn.Linear(3, 2)
    weights = {name: tensor.numpy() for name, tensor in layer.state_dict().items()}
    checkpoints.load_exactly(layer, weights, tmp_path)
    with pytest.raises(SlimError, match="has no bias"):
        checkpoints.load_exactly(layer, {"weight": weights["weight"]}, tmp_path)
    with pytest.raises(SlimError, match=r"weight is \[3, 5\] there and \[3, 2\]"):
        checkpoints.load_exactly(layer, {**weights, "weight": np.zeros((3, 5))}, tmp_path)


def test_a_missing_checkpoint_names_those_that_are_there(tmp_path):
    save_number(tmp_path, 1)
    with pytest.raises(SlimError, match=r"there is no file .*lastest\.pdparams; .* has latest"):
        checkpoints.open_checkpoint(str(tmp_path / "model/lastest"), "Global.pretrained_model")


@pytest.mark.parametrize("in_the_way", ["model/latest.pdparams", "model"])
def test_what_is_in_the_place_of_a_file_is_named(tmp_path, in_the_way):
    place = tmp_path / in_the_way
    place.mkdir(parents=True) if in_the_way.endswith("pdparams") else place.write_text("")
    with pytest.raises(SlimError, match=r"belong.*: move it away"):
        save_number(tmp_path, 1)
    place.rmdir() if place.is_dir() else place.unlink()
    assert saved_number(tmp_path) == 1  # it was complete


def test_weights_are_read_from_safetensors(tmp_path):
    weights = {"w": paddle.full([2, 3], 1.5), "scale": paddle.to_tensor(2.0)}
    checkpoints.write_safetensors(weights, tmp_path / "w.safetensors")
    found = checkpoints.open_checkpoint(str(tmp_path / "w.safetensors"), "Global.pretrained_model")
    assert found.weights == tmp_path / "w.safetensors"
    for name, value in checkpoints.read_weights(found).items():
        np.testing.assert_array_equal(value.numpy(), weights[name].numpy())
    (tmp_path / "w.safetensors").write_bytes((tmp_path / "w.safetensors").read_bytes()[:-3])
    with pytest.raises(SlimError, match=r"w\.safetensors cannot be loaded"):
        checkpoints.read_weights(found)


def test_sha256_is_that_of_sha256sum(tmp_path):
    file = tmp_path / "x"
    file.write_bytes(os.urandom(3_000_000))
    expected = subprocess.run(["sha256sum", str(file)], capture_output=True, text=True, check=True).stdout.split()[0]
    assert checkpoints.sha256(file) == expected
