"""Arguments out of range are refused by the parser, before anything is imported."""

from __future__ import annotations

import pytest

from ppcls_slim.cli.parser import parser

PREDICT = ["predict", "--model-dir", "m", "--images", "i"]
BENCHMARK = ["benchmark", "m"]


@pytest.mark.parametrize("value", ["0", "-1", "-5", "1.5", "many", "", "99999999999", "9" * 5000])
@pytest.mark.parametrize(
    "command",
    [
        [*PREDICT, "--threads"],
        [*PREDICT, "--batch-size"],
        [*PREDICT, "--topk"],
        [*BENCHMARK, "--threads"],
        [*BENCHMARK, "--batch-size"],
        [*BENCHMARK, "--runs"],
        [*BENCHMARK, "--samples"],
    ],
    ids=lambda command: f"{command[0]}{command[-1]}",
)
def test_counts_begin_at_one(capsys, command, value):
    with pytest.raises(SystemExit) as stopped:
        parser().parse_args([*command, value])
    assert stopped.value.code == 2
    assert command[-1] in capsys.readouterr().err


def test_counts_are_numbers():
    arguments = parser().parse_args([*PREDICT, "--threads", "2", "--batch-size", "8", "--topk", "3"])
    assert (arguments.threads, arguments.batch_size, arguments.topk) == (2, 8, 3)
