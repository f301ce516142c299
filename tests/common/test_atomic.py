"""Files and folders appear complete, or not at all."""

from __future__ import annotations

import json

import pytest

from ppcls_slim.common.atomic import atomic_folder, atomic_path, write_json, write_text


def test_a_file_is_replaced_only_when_it_is_complete(tmp_path):
    file = tmp_path / "new/file.txt"
    write_text(file, "first")
    with pytest.raises(KeyboardInterrupt), atomic_path(file) as writing:
        writing.write_text("half of the sec")
        raise KeyboardInterrupt
    assert file.read_text() == "first"
    write_text(file, "second")
    assert file.read_text() == "second"
    assert [path.name for path in file.parent.iterdir()] == ["file.txt"]


def test_json_can_be_read_by_a_person(tmp_path):
    write_json(tmp_path / "plan.json", {"kept": [1, 2]})
    assert json.loads((tmp_path / "plan.json").read_text()) == {"kept": [1, 2]}
    assert (tmp_path / "plan.json").read_text().count("\n") > 2


def test_a_new_folder_appears_as_a_whole(tmp_path):
    folder = tmp_path / "new/folder"
    with atomic_folder(folder) as writing:
        (writing / "inner").mkdir()
        (writing / "inner/file").write_text("text")
        assert not folder.exists()
    assert (folder / "inner/file").read_text() == "text"
    assert [path.name for path in folder.parent.iterdir()] == ["folder"]


def test_an_interrupted_folder_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt), atomic_folder(tmp_path / "folder") as writing:
        (writing / "file").write_text("text")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_files_are_moved_into_a_folder_that_exists(tmp_path):
    for name in ("kept", "same", "stale"):
        (tmp_path / "folder" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "folder" / name).write_text("old")
    with atomic_folder(tmp_path / "folder", replaced=("stale", "same")) as writing:
        (writing / "same").write_text("new")
        (writing / "inner").mkdir()
        (writing / "inner/other").write_text("new")
    found = {path.name: path.read_text() for path in (tmp_path / "folder").rglob("*") if path.is_file()}
    assert found == {"kept": "old", "same": "new", "other": "new"}


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "target").write_text("before")
    (tmp_path / "link").symlink_to("target")
    write_text(tmp_path / "link", "after")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "after"
