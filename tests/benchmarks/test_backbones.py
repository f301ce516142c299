"""The matrix's own jobs on the dozen backbones that are hard to prune, and the machinery around them."""

from __future__ import annotations

import multiprocessing
import os
import re
import signal
import time
from pathlib import Path

import numpy as np
import pytest
from benchmarks.backbones import jobs, matrix, worker
from benchmarks.backbones.constructors import constructors
from benchmarks.backbones.dense import reestimate_bn_statistics
from benchmarks.backbones.families import Backbone, matching, smallest
from benchmarks.backbones.page import write_page
from benchmarks.backbones.rows import FAILED, OK, REFUSED, TIMEOUT, MatrixRow, read, write
from benchmarks.backbones.tolerances import FLOAT_EXPORT, REFERENCE_RUN

from conftest import ROOT
from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle

HARD = {  # backbone -> share of the FLOPs that has to go at ratio 0.3
    "ResNeXt50_32x4d": 0.45,
    "Res2Net50_26w_4s": 0.45,
    "SE_ResNet18_vd": 0.45,
    "RegNetX_200MF": 0.45,
    "DPN68": 0.45,
    "ResNeSt50_fast_1s1x64d": 0.45,
    "HRNet_W18_C": 0.45,
    "DenseNet121": 0.45,
    "ShuffleNetV2_x0_25": 0.34,  # shuffling ties a sixth of its filters to each other
    "GhostNet_x0_5": 0.4,
    "MobileNetV3_small_x0_35": 0.35,
    "PPHGNet_tiny": 0.45,
    "RepVGG_A0": 0.45,
}


def a_row(backbone: str = "ResNet18", job: str = "prune", **values) -> MatrixRow:
    return MatrixRow(backbone, "", job, "3.3.1", "2.4.2", "0123", **values)


SLOW = {"HRNet_W18_C"}  # half a minute; on Paddle 3.3 only
_ON_BOTH_VERSIONS = [pytest.param(name, marks=() if name in SLOW else pytest.mark.paddle26) for name in HARD]


@pytest.mark.parametrize("backbone", _ON_BOTH_VERSIONS)
def test_a_hard_one_is_pruned_trained_reread_and_exported(backbone, tmp_path):
    row = a_row(backbone)
    jobs.run(row, tmp_path, lambda stage: None)
    assert max(row.proof_random, row.proof_real) < 1e-5
    assert row.parity < FLOAT_EXPORT
    assert row.flops_removed > HARD[backbone]
    assert row.analysis_seconds < 5


@pytest.mark.paddle26
def test_a_hard_one_is_quantized_trained_reread_and_exported(tmp_path):
    row = a_row("SE_ResNet18_vd", "quant")
    jobs.run(row, tmp_path, lambda stage: None)
    assert row.parity < REFERENCE_RUN


def test_a_transformer_is_refused_in_a_line_that_says_what_to_do(tmp_path):
    with pytest.raises(SlimError, match=r"layer_norm over channels; quantize this model instead \(Slim.quant"):
        jobs.run(a_row("DeiT_tiny_patch16_224"), tmp_path, lambda stage: None)


def test_reestimated_bn_statistics_are_those_of_the_images():
    model = paddle.nn.Sequential(paddle.nn.Conv2D(3, 4, 3), paddle.nn.BatchNorm2D(4), paddle.nn.ReLU())
    images = 50 + 9 * np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype(np.float32)
    reestimate_bn_statistics(model, images)
    model.train()
    expected = model(paddle.to_tensor(images)).numpy()
    model.eval()
    np.testing.assert_allclose(model(paddle.to_tensor(images)).numpy(), expected, rtol=1e-2, atol=1e-2)
    assert model[1]._momentum == 0.9


@pytest.fixture
def matrix_of(monkeypatch):
    """Run the matrix with another body for its jobs, in copies of this process: nothing has to be imported anew."""

    def prepared(body):
        monkeypatch.setattr(worker, "work_on", body)
        monkeypatch.setattr(worker, "GRACE", 1.0)
        monkeypatch.setattr(worker, "context", lambda: multiprocessing.get_context("fork"))
        return matrix.run_matrix

    return prepared


def hangs(pipe, row, work, log):
    os.setsid()
    child = os.fork()  # something that the job started, which a kill of the job alone would leave
    if child == 0:
        time.sleep(600)
    log.write_text(str(child))
    pipe.send("export")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600)


def hangs_at_exit(pipe, row, work, log):
    os.setsid()
    row.result = OK
    pipe.send(row)
    time.sleep(600)


def dies(pipe, row, work, log):
    os.setsid()
    os.kill(os.getpid(), signal.SIGKILL)


def runs(process: int) -> bool:
    """Whether a process is there, and not only its entry that nobody has read yet."""
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.parametrize(
    "body, result, error",
    [
        (hangs, TIMEOUT, "not done after 3 s"),
        (hangs_at_exit, OK, ""),
        (dies, FAILED, "the process died (signal SIGKILL); see log.txt"),
    ],
)
def test_no_job_stops_the_matrix(body, result, error, tmp_path, matrix_of):
    table = tmp_path / "table.csv"
    rows = [a_row("A"), a_row("B")]
    matrix_of(body)(rows, table, tmp_path, 3, 2, lambda line: None, lambda new, old: False)
    assert [(row.result, row.error) for row in read(table)] == [(result, error)] * 2
    if body is hangs:
        assert not runs(int((tmp_path / "A-prune/log.txt").read_text()))


def test_what_is_in_the_table_is_not_run_again(tmp_path, matrix_of):
    table, said = tmp_path / "table.csv", []
    write(table, [a_row("A", result=OK, flops_removed=0.5), a_row("B", "quant", result=OK)])
    rows = matrix_of(dies)(
        [a_row("A"), a_row("C")], table, tmp_path, 60, 1, said.append, lambda new, old: new.code == old.code
    )
    assert [(row.backbone, row.result) for row in rows] == [("A", OK), ("B", OK), ("C", FAILED)]
    assert said[0].startswith("1 of 2 are in")
    assert read(table)[0].flops_removed == 0.5


def test_the_smallest_of_each_file_stands_for_its_family():
    everything = [
        Backbone("Wide", "net", 9),
        Backbone("Narrow", "net", 3),
        Backbone("Unknown", "odd", None),
        Backbone("Known", "odd", 1),
        Backbone("ResNet18", "resnet", 4),
        Backbone("ResNet10", "resnet", 2),
        Backbone("Other", "net_variant", 1),
    ]
    assert smallest(everything) == ["Narrow", "Unknown", "ResNet18"]


def test_names_are_patterns_and_one_that_fits_nothing_is_an_error():
    names = ["ResNet18", "ResNet50", "VGG11"]
    assert matching(["VGG*", "Res*"], names) == ["VGG11", "ResNet18", "ResNet50"]
    with pytest.raises(SlimError, match=r"there is no backbone ResNet5 \(did you mean 'ResNet50'"):
        matching(["ResNet5"], names)


def test_every_constructor_is_found():
    found = constructors()
    assert {"ResNet18", "UniFormer_small", *HARD} - set(found) <= {"UniFormer_small"}  # not in 2.4.2
    assert "TheseusLayer" not in found


def test_the_page_shows_both_versions_of_paddle(tmp_path):
    tables = [tmp_path / "new.csv", tmp_path / "old.csv"]
    write(tables[0], [a_row(result=OK, flops_removed=0.5, frozen="1 x an output of the model")])
    release = read(tables[0])[0].paddleclas
    write(tables[1], [MatrixRow("ResNet18", "", "prune", "2.6.2", release, "0", result=REFUSED, error="no reason")])
    write_page(tmp_path / "page.md", tables)
    page = (tmp_path / "page.md").read_text()
    assert "| ResNet18 | 50.0 % |  |  | ok | refused |" in page
    assert "- ResNet18: 1 x an output of the model" in page
    assert "- ResNet18, prune, on 2.6.2: refused: no reason" in page


def test_the_page_has_a_table_for_each_release_of_paddleclas(tmp_path):
    tables = [tmp_path / "newer.csv", tmp_path / "installed.csv"]
    for table, release, share in zip(tables, ("2.6.0", "2.4.2"), (0.486, 0.337)):
        row = MatrixRow("ResNet18", "", "prune", "3.3.1", release, "0", result=OK, flops_removed=share)
        write(table, [row])
    write_page(tmp_path / "page.md", tables)
    newer, installed = (tmp_path / "page.md").read_text().split("## PaddleClas ")[1:]
    assert newer.startswith("2.6.0 on Paddle 3.3.1\n")
    assert "| ResNet18 | 48.6 % |" in newer
    assert installed.startswith("2.4.2 on Paddle 3.3.1\n")
    assert "| ResNet18 | 33.7 % |" in installed


def test_the_chinese_page_has_the_same_figures(tmp_path):
    table = tmp_path / "table.csv"
    write(table, [a_row(result=OK, flops_removed=0.5, frozen="18 x layer_norm over channels; 1 x something new")])
    for name in ("page.md", "page.zh.md"):
        write_page(tmp_path / name, [table])
    pages = [(tmp_path / name).read_text(encoding="utf-8").splitlines() for name in ("page.md", "page.zh.md")]
    english, chinese = pages
    assert "| ResNet18 | 50.0 % |  |  | ok |" in chinese
    assert [row.count("|") for row in chinese] == [row.count("|") for row in english]
    assert "- ResNet18：18 × 沿通道的 layer_norm；1 × something new" in chinese


def test_the_chinese_coverage_page_is_of_the_same_tables_as_the_english_one():
    pages = [(ROOT / f"docs/coverage{end}").read_text(encoding="utf-8") for end in (".md", ".zh.md")]
    figures = [re.findall(r"`[0-9a-f]{12}`|^\| \w+ \| [\d.]+ %", page, re.M) for page in pages]
    assert len(figures[0]) > 100
    assert figures[0] == figures[1]


def test_a_page_without_rows_is_an_error(tmp_path):
    with pytest.raises(SlimError, match="has no rows"):
        write_page(tmp_path / "page.md", [tmp_path / "missing.csv"])
