"""What a command shows by default, with ``-q`` and with ``-v``; what the log file has does not depend on it."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from conftest import DEFAULT, ROOT, _forget_logger, output_prefix
from ppcls_slim.common.console import RANK, Console, Verbosity

EPOCH = r"epoch \d/\d: loss [\d.]+, top-1 [\d.]+ %(?: \(training\))?, [\d.]+ s, ETA \d+:\d\d:\d\d"
REPORT = ("-o", "Slim.report={latency_runs: 2}")


def log_of(tmp_path, name="train.log"):
    return next((tmp_path / "output").rglob(name)).read_text()


def train(cli, small, *arguments):
    result = cli("train", "-c", small, *arguments)
    assert result.status == 0, result.err
    return result


@pytest.mark.paddle26
def test_a_training_shows_facts_epochs_and_one_table_and_logs_all_of_it(cli, small, tmp_path):
    result = train(cli, small, *REPORT, "-o", "Global.epochs=2", DEFAULT)
    shown = result.out.splitlines()
    assert [line.partition(":")[0] for line in shown[:5]] == ["model", "device", "data", "Slim", "output"]
    assert len([line for line in shown if re.fullmatch(EPOCH, line)]) == 2
    assert len([line for line in shown if line.startswith("| parameters ")]) == 1
    assert max(len(line) for line in shown if line.startswith(("|", "+"))) <= 120
    assert not [line for line in shown if "ppcls INFO" in line or "DataLoader" in line]
    assert "based on 4 gpus" not in result.err
    log = log_of(tmp_path)
    for wanted in ("is powered by", "DataLoader : ", "[Train][Epoch 2/2][Avg]", "[Eval][Epoch 2][Avg]", "| layer"):
        assert wanted in log
    assert "based on 4 gpus" in log
    epochs = [line for line in log.splitlines() if "[Epoch" in line]
    assert all(re.match(r"\[\d{4}/\d\d/\d\d \d\d:\d\d:\d\d\] ppcls INFO: \[", line) for line in epochs)


def test_verbose_shows_what_the_log_has(cli, small, tmp_path):
    shown = train(cli, small, "-v")
    assert set(log_of(tmp_path).splitlines()) <= set(shown.out.splitlines())
    assert not re.search(f"^{EPOCH}$", shown.out, re.MULTILINE)


@pytest.mark.paddle26
def test_quiet_shows_results_and_warnings(cli, small):
    shown = train(cli, small, *REPORT, "-q")
    assert shown.out.startswith("+-") and "| parameters " in shown.out
    assert "epoch" not in shown.out
    assert "warning: Slim.prune starts from random weights" in shown.err


def test_a_terminal_without_the_letters_of_a_name_shows_their_numbers(cli, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert cli("init", "-c", _named(tmp_path / "\u72d7.yaml"), "--goal", "fast").status == 0
    sys.stdout.flush()
    assert b"\\u72d7_fast.yaml: " in sys.stdout.buffer.getvalue()


def _named(path):
    path.write_text((ROOT / "ppcls_configs/quickstart/digits_dense.yaml").read_text())
    return path


def test_quiet_shows_errors(cli, small):
    assert cli("train", "-c", small, "-q", "-o", "Global.pretrained_model=none").message


def test_an_evaluation_shows_its_result(cli, small, tmp_path):
    train(cli, small, "-q")
    evaluate = ("eval", "-c", small, "-o", f"Global.pretrained_model={output_prefix(tmp_path / 'output', 'latest')}")
    (line,) = cli(*evaluate, "-q").out.splitlines()
    assert re.search(r"\[Avg\].*top1: [\d.]+", line)
    assert cli(*evaluate, DEFAULT).out.splitlines()[-1] == line


@pytest.mark.paddle26
def test_the_configuration_lies_beside_the_log_and_can_be_used_again(cli, small, tmp_path):
    train(cli, small, "-o", "Slim.prune.pruned_ratio=0.25")
    (file,) = (tmp_path / "output").rglob("config.yaml")
    assert (file.parent / "train.log").is_file()
    kept, given = yaml.safe_load(file.read_text()), yaml.safe_load(small.read_text())
    assert kept["Slim"]["prune"]["pruned_ratio"] == 0.25
    given["Slim"]["prune"]["pruned_ratio"] = 0.25
    assert {key: kept[key] for key in given} == given
    assert cli("plan", "-c", file).status == 0


def test_without_evaluation_an_epoch_has_the_accuracy_of_its_training_batches(cli, small):
    shown = train(cli, small, "-o", "Global.eval_during_train=False", DEFAULT).out
    assert re.search(r"epoch 1/1: .* % \(training\), ", shown)


def test_a_terminal_has_a_bar_that_counts_batches(cli, small, monkeypatch):
    from rich.progress import Progress

    counted = []
    advance = Progress.advance
    monkeypatch.setattr(Console, "is_live", True)
    monkeypatch.setattr(Progress, "advance", lambda *given: (counted.append(given), advance(*given)))
    shown = train(cli, small, DEFAULT).out
    assert len(counted) == 4  # 64 images in batches of 16; those of evaluations do not count
    assert re.search(f"^{EPOCH}$", shown, re.MULTILINE)


def test_of_several_processes_the_first_shows_progress(monkeypatch, capsys):
    console = Console()
    console.begin(Verbosity.NORMAL)
    for rank in ("1", "0"):
        monkeypatch.setenv(RANK, rank)
        console.tell(f"process {rank}")
    assert capsys.readouterr().out == "process 0\n"


def test_facts_are_shown_once_and_those_of_a_second_stage_where_they_differ(capsys):
    console = Console()
    console.begin(Verbosity.NORMAL)
    console.introduce(["model", "first output"], again=True)
    console.introduce(["model", "second output"], again=True)
    console.introduce(["model of the export"])
    assert capsys.readouterr().out == "model\nfirst output\nsecond output\n"


@pytest.mark.paddle26
def test_what_paddle_writes_at_start_up_is_held_back_unless_asked_for(tmp_path):
    config = ROOT / "ppcls_configs/quickstart/digits_prune.yaml"
    weights = f"Global.pretrained_model={ROOT / 'ppcls_configs/quickstart/digits_dense'}"
    command = [sys.executable, str(ROOT / "tools/slim_plan.py"), "-c", str(config), "-o", weights]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_warnings_of_a_user_are_not_held_back():
    from ppcls_slim.compat import startup_noise

    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        startup_noise.hold_back()
        warnings.warn("No ccache found. Please be aware", UserWarning, stacklevel=1)
        warnings.warn("images are damaged", UserWarning, stacklevel=1)
    assert [str(one.message) for one in seen] == ["images are damaged"]


def test_what_plugins_log_cannot_stop_a_command_and_tracebacks_are_shown(tmp_path, monkeypatch, capsys):
    from ppcls_slim.common.console import console
    from ppcls_slim.compat.paddleclas.console_log import init_logger
    from ppcls_slim.compat.paddleclas.logger import logger

    _forget_logger()
    monkeypatch.setattr(console, "verbosity", Verbosity.NORMAL)
    init_logger(log_file=str(tmp_path / "train.log"))
    logger._logger.warning("%d images", "many")
    logger.warning("100 % of images, 7 %s")
    try:
        raise ValueError("no image")
    except ValueError:
        logger._logger.exception("a plugin failed")
    shown = capsys.readouterr().err
    assert "warning: 100 % of images, 7 %s" in shown
    assert "error: a plugin failed\nTraceback" in shown and "ValueError: no image" in shown


def test_a_warning_is_shown_once_in_a_command():
    console = Console()
    assert [console.is_new("warning: busy") for _ in range(2)] == [True, False]
    console.begin(Verbosity.NORMAL)
    assert console.is_new("warning: busy")


@pytest.mark.parametrize("found", ["output/latest", None])
def test_a_training_that_goes_on_says_from_which_checkpoint(found):
    from ppcls_slim.engine.banner import banner  # imports PaddleClas

    given = {"device": "cpu", "checkpoints": "auto", "pretrained_model": "dense"}
    engine = SimpleNamespace(mode="train", config={"Global": {**given, "checkpoints": found}})
    lines = banner({"Arch": {"name": "LeNet"}, "Global": given}, engine, Path("output/train.log"))
    assert lines[0].endswith(f"weights: {found or 'dense'}")


def test_what_was_quantized_is_shown_once_though_the_export_rebuilds_it(cli, small, tmp_path):
    shown = train(cli, small, *REPORT, "-o", "Slim.prune=null", "-o", "Slim.quant={name: pact}", DEFAULT)
    assert shown.out.count(" layers quantized, weights 8 bits") == 1
    assert "fake-quant: " not in shown.out.replace("top-1, fake-quant", "")
    assert log_of(tmp_path, "export.log").count(" layers quantized, weights 8 bits") == 1
