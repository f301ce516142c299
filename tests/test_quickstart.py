"""The README's first command."""

from __future__ import annotations

import re

from conftest import ROOT


def row(out, name):
    """The two numbers of a row of the table."""
    found = re.search(rf"\| {re.escape(name)} *\| *([0-9.]+) ?([kM]?)[A-Z%]? *\| *([0-9.]+) ?([kM]?)", out)
    scale = {"": 1, "k": 1e3, "M": 1e6}
    return float(found[1]) * scale[found[2]], float(found[3]) * scale[found[4]]


def test_the_quickstart_prunes_fine_tunes_and_compares(cli, tmp_path):
    quickstart = ROOT / "ppcls_configs/quickstart"
    result = cli(
        "train", "-c", quickstart / "digits_prune.yaml",
        "-o", f"Global.pretrained_model={quickstart / 'digits_dense'}",
    )  # fmt: skip
    assert result.status == 0, result.err
    table = result.out[result.out.rindex("| top-1 (evaluation data)") :]
    dense, pruned = row(table, "top-1 (evaluation data)")
    assert dense == 99.44  # the shipped weights, on 360 test images
    assert pruned >= 97.0
    flops = row(table, "FLOPs (multiply-accumulates)")
    parameters = row(table, "parameters")
    assert flops[1] < 0.3 * flops[0]
    assert parameters[1] < 0.35 * parameters[0]
    assert (tmp_path / "inference/digits_prune/inference.yml").is_file()
    assert (quickstart / "digits_dense.pdparams").stat().st_size < 1_000_000
