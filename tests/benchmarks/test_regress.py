"""Accuracy against what is published: passed, failed, or not run and never passed."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from conftest import ROOT, output_prefix

pytestmark = pytest.mark.paddle26


@pytest.fixture
def rows(cli, small, tmp_path):
    """A file of rows about a pruned model trained on 64 digits; gives (path, function that changes and writes it)."""
    assert cli("train", "-c", small).status == 0
    row = {
        "name": "digits", "config": str(small), "checkpoint": str(output_prefix(tmp_path / "output", "latest")),
        "data": "images", "published": 1.0, "tolerance": 0.9, "source": "this test",
    }  # fmt: skip
    content = {"places": {"images": str(tmp_path / "small.yaml"), "elsewhere": "nowhere"}, "rows": [row]}
    path = tmp_path / "rows.yaml"

    def write(*changes):
        content["rows"] = [{**row, "name": f"digits {n}", **change} for n, change in enumerate(changes)]
        path.write_text(yaml.safe_dump(content))

    write({})
    return path, write


def test_what_holds_what_does_not_and_what_is_not_there(cli, rows, tmp_path):
    path, write = rows
    write({"tolerance": 1.0}, {"published": 99.9}, {"data": "elsewhere"}, {"checkpoint": "none/best_model"})
    result = cli("regress", path, "--json", "out/results.json")
    assert result.status == 1
    assert "1 passed, 1 failed, 2 not run" in result.out
    written = json.loads((tmp_path / "out/results.json").read_text())["rows"]
    assert [row["status"] for row in written] == ["passed", "failed", "not run", "not run"]
    assert written[0]["measured"] == written[1]["measured"] >= 0
    assert written[2]["measured"] is None
    assert "nowhere" in written[2]["why"] and "none/best_model.pdparams" in written[3]["why"]


def test_nothing_run_is_no_failure_and_no_pass(cli, rows):
    path, write = rows
    write({"data": "elsewhere"})
    result = cli("regress", path)
    assert result.status == 0
    assert "0 passed, 0 failed, 1 not run" in result.out


def test_the_model_and_its_export_have_the_same_accuracy(cli, rows, tmp_path):
    path, write = rows
    write({}, {"run": "inference"})
    cli("regress", path, "--json", "results.json")
    first, second = (row["measured"] for row in json.loads((tmp_path / "results.json").read_text())["rows"])
    assert first == second is not None


def test_an_exported_model(cli, rows, small, tmp_path):
    path, write = rows
    stem = output_prefix(tmp_path / "output", "latest")
    assert cli("export", "-c", small, "-o", f"Global.pretrained_model={stem}").status == 0
    write({}, {"checkpoint": None, "exported": str(tmp_path / "inference")})
    cli("regress", path, "--json", "results.json")
    first, second = (row["measured"] for row in json.loads((tmp_path / "results.json").read_text())["rows"])
    assert first == second is not None


def test_a_checkpoint_that_is_damaged_fails_and_says_why(cli, rows, tmp_path):
    path, _ = rows
    stem = output_prefix(tmp_path / "output", "latest")
    stem.with_name("latest.pdparams").write_bytes(b"cut off")
    result = cli("regress", path)
    assert result.status == 1
    assert "SHA-256" in result.out


@pytest.mark.parametrize(
    ("change", "options", "words"),
    [
        ({"publishd": 90}, (), "did you mean 'published'"),
        ({"tolerance": -1}, (), "tolerance"),
        ({"exported": "folder"}, (), "either checkpoint or exported"),
        ({"data": "imags"}, (), "did you mean 'images'"),
        ({}, ("--only", "digts*"), "did you mean 'digits 0'"),
        ({}, ("--place", "imagenet=/data"), "elsewhere, images"),
    ],
)
def test_mistakes(cli, tmp_path, change, options, words):
    row = {
        "name": "digits 0", "config": "c.yaml", "checkpoint": "best", "data": "images",
        "published": 1.0, "tolerance": 0.0, "source": "-", **change,
    }  # fmt: skip
    (tmp_path / "rows.yaml").write_text(
        yaml.safe_dump({"places": {"images": "here", "elsewhere": "there"}, "rows": [row]})
    )
    result = cli("regress", "rows.yaml", *options)
    assert result.status == 2
    assert words in result.message


def test_the_rows_of_the_project_are_those_that_were_published():
    """Each row of ``../shared/published`` for ImageNet is there with its number; nothing is there twice."""
    import csv

    from benchmarks.accuracy.rows import read_rows

    found = read_rows(ROOT / "benchmarks/regress.yaml").rows
    for row in found:
        assert (ROOT / "benchmarks" / row.config).is_file()
    imagenet = [row for row in found if "ImageNet" in row.name]
    assert len({row.checkpoint for row in imagenet}) == len(imagenet)
    folder = ROOT.parent / "shared/published"
    if not folder.is_dir():
        pytest.skip(f"there is no {folder}")
    expected = []
    for name, column in (("fpgm_imagenet", "pruned_top1"), ("paddle_imagenet", "compressed_top1")):
        with (folder / f"{name}.csv").open() as file:
            expected += [float(row[column]) for row in csv.DictReader(file)]
    np.testing.assert_allclose(sorted(row.published for row in imagenet), sorted(expected))
