"""Every file of a checkpoint is the one that was saved with the others, or loading says which is not."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26
WRITTEN = Path(__file__).parent / "formats/96686d1"


def save(folder, number=1, suffixes=(".pdparams", ".pdopt", ".pdstates", ".pdema")):
    def write(writing):
        for suffix in suffixes:
            paddle.save({"w": paddle.full([4], number)}, str(writing / f"latest{suffix}"))

    checkpoints.save(folder, "latest", write, {"written_by": {}, "top1_dense": 0.5, "epoch": number})
    return folder / "latest"


def load_all(prefix):
    found = checkpoints.open_checkpoint(str(prefix), "Global.checkpoints")
    return {suffix: found.load(suffix)["w"].tolist() for suffix in found.manifest.digests}


def sidecar(prefix):
    return prefix.with_name(f"{prefix.name}.slim.json")


def test_all_files_are_in_the_manifest_and_load(tmp_path):
    assert load_all(save(tmp_path)) == dict.fromkeys((".pdparams", ".pdopt", ".pdstates", ".pdema"), [1.0] * 4)


@pytest.mark.parametrize("suffix", [".pdparams", ".pdopt", ".pdstates", ".pdema"])
def test_a_bit_that_flipped_is_found_in_every_file(tmp_path, suffix):
    prefix = save(tmp_path)
    file = prefix.with_name(f"latest{suffix}")
    content = bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    with pytest.raises(
        SlimError, match=rf"latest\{suffix} is not the file that was saved .* \(its SHA-256 differs\)"
    ):
        load_all(prefix)


@pytest.mark.parametrize("suffix", [".pdopt", ".pdstates", ".pdema"])
def test_files_of_two_saves_do_not_go_together(tmp_path, suffix):
    first, second = save(tmp_path / "first", 1), save(tmp_path / "second", 2)
    shutil.copy(first.with_name(f"latest{suffix}"), second.parent)
    with pytest.raises(SlimError, match="restore all files of one save"):
        load_all(second)


def test_a_file_that_the_save_did_not_write_does_not_belong_to_it(tmp_path):
    prefix = save(tmp_path, suffixes=[".pdparams"])
    shutil.copy(prefix.with_name("latest.pdparams"), prefix.with_name("latest.pdema"))
    with pytest.raises(SlimError, match=r"latest\.pdema was not saved with this checkpoint"):
        checkpoints.open_checkpoint(str(prefix), "test").load(".pdema")


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(top1_dense=0.9),
        lambda content: content.update(quant={"settings": {"weight_bits": 4}}),
        lambda content: content.pop("epoch"),
        lambda content: content.pop("manifest"),
        lambda content: content["manifest"].pop(".pdopt"),
        lambda content: content["manifest"].pop("sidecar"),
        lambda content: content["manifest"].update({".pdopt": "0" * 64}),
    ],
)
def test_an_edited_sidecar_is_refused(tmp_path, change):
    prefix = save(tmp_path)
    content = json.loads(sidecar(prefix).read_text())
    change(content)
    sidecar(prefix).write_text(json.dumps(content))
    with pytest.raises(SlimError, match=r"latest\.slim\.json cannot be read \(.*\): restore it from a copy"):
        checkpoints.open_checkpoint(str(prefix), "test")


def test_a_sidecar_may_be_indented_otherwise_and_a_checkpoint_renamed(tmp_path):
    prefix = save(tmp_path)
    for file in list(tmp_path.glob("latest.*")):
        file.rename(file.with_name(file.name.replace("latest", "mine")))
    mine = tmp_path / "mine"
    sidecar(mine).write_text(json.dumps(json.loads(sidecar(mine).read_text())))
    assert load_all(mine)
    assert not prefix.with_name("latest.pdparams").exists()


def test_older_versions_noted_the_weights_only(tmp_path):
    prefix = shutil.copytree(WRITTEN / "prune", tmp_path / "prune") / "latest"
    found = checkpoints.open_checkpoint(str(prefix), "test")
    assert list(found.manifest.digests) == [".pdparams"]
    assert found.load(".pdstates")["epoch"] == found.metadata.epoch


def test_a_checkpoint_of_paddleclas_has_no_manifest(tmp_path):
    paddle.save({"w": paddle.ones([4])}, str(tmp_path / "w.pdparams"))
    found = checkpoints.open_checkpoint(str(tmp_path / "w"), "test")
    assert found.load(".pdparams")["w"].tolist() == [1.0] * 4
