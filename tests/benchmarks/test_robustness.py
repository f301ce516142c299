"""The campaign finds nothing, and finds what is there."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import yaml
from benchmarks.robustness import child, weights
from benchmarks.robustness.damage import DAMAGES
from benchmarks.robustness.expected import MeaninglessError, difference, what_is_written
from benchmarks.robustness.mutation import misspelt, mutate
from benchmarks.robustness.outcome import EXECUTED, HANG, REFUSED, RIGHT, TRACEBACK, Outcome, table
from benchmarks.robustness.settings import doubtful
from benchmarks.robustness.target import Target
from benchmarks.robustness.text import damage_text
from benchmarks.robustness.writes import before_every_write, end_after

from conftest import ROOT

TRACE = "Traceback (most recent call last):\n  File ...\nKeyError: 'epochs'\n"


def run(tmp_path: Path, *arguments: str, fault: str = "") -> tuple[int, dict, str]:
    """Run the campaign in a process of its own: one that has computed with Paddle must not fork."""
    record = tmp_path / "record.json"
    command = [ROOT / "tests/benchmarks/broken.py", fault, "robustness"] if fault else [ROOT / "tools/robustness.py"]
    more = ["--json", record, "--work", tmp_path / "work", *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, *map(str, [*command, *more])], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert record.is_file(), done.stdout + done.stderr
    return done.returncode, json.loads(record.read_text()), done.stdout


def test_a_short_campaign_finds_nothing(tmp_path):
    status, record, out = run(
        tmp_path, "--seed", "3", "configurations=40", "checkpoints=12", "kills=3", "two_runs=1", "full_disk=1",
        "--scenario", "masked", "--scenario", "two_stage",
    )  # fmt: skip
    assert record["findings"] == []
    assert status == 0
    assert {kind: sum(counts.values()) for kind, counts in record["counts"].items()} == {
        "configurations": 40, "checkpoints": 12, "kills": 3, "two_runs": 1, "full_disk": 1,
    }  # fmt: skip
    assert "| kills | 3 |" in out


@pytest.mark.parametrize(
    ("fault", "kind", "result"),
    [
        pytest.param("sums_are_all_the_same", "checkpoints=30", "silent wrong result", marks=pytest.mark.slow),
        pytest.param("overrides_are_evaluated", "configurations=40", "code executed", marks=pytest.mark.slow),
        pytest.param("sections_are_passed_over", "configurations=20", "silent wrong result", marks=pytest.mark.slow),
        pytest.param("epochs_are_not_seeded", "kills=3", "silent wrong result", marks=pytest.mark.slow),
    ],
)
def test_a_fault_that_is_put_in_is_found(tmp_path, fault, kind, result):
    status, record, out = run(tmp_path, "--seed", "3", kind, "--scenario", "prune", fault=fault)
    assert status == 1
    found = [one for one in record["findings"] if one["result"] == result]
    assert found, out
    case = f"{found[0]['kind']}:{found[0]['seed']}"
    assert found[0]["repeat"] == f"python tools/robustness.py --case {case} --scenario prune"
    assert found[0]["repeat"] in out


@pytest.mark.parametrize(
    ("status", "text", "result"),
    [
        (0, "top-1 97 %", RIGHT),
        (2, "Epoch 1\nppcls_slim: error: Global.epochs is -1\n", REFUSED),
        (2, "usage: ppcls-slim\nppcls-slim train: error: argument -c is missing\n", REFUSED),
        (2, "ppcls_slim: error: it is\nwrong\n", TRACEBACK),
        (2, "ppcls_slim: error: \n", TRACEBACK),
        (2, "nothing", TRACEBACK),
        (0, TRACE, TRACEBACK),
        (1, TRACE, TRACEBACK),
        (-11, "", TRACEBACK),
        (None, "Epoch 1", HANG),
    ],
)
def test_how_a_process_ended_is_judged(tmp_path, status, text, result):
    assert child.judge(child.Ended(status, text, 1.0), tmp_path / "executed").result == result


def test_a_marker_that_was_written_is_code_that_was_executed(tmp_path):
    (tmp_path / "executed").touch()
    assert child.judge(child.Ended(2, "ppcls_slim: error: x\n", 1.0), tmp_path / "executed").result == EXECUTED


def test_a_fork_tells_status_output_and_exceptions(tmp_path):
    def fails() -> int:
        print("a line")
        raise KeyError("epochs")

    ended = child.in_fork(fails, tmp_path)
    assert (ended.status, "a line" in ended.text, "KeyError: 'epochs'" in ended.text) == (1, True, True)
    assert child.in_fork(lambda: 2, tmp_path).status == 2
    assert child.in_fork(lambda: sys.exit(3), tmp_path).status == 3


def test_a_fork_that_does_not_end_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(child, "LIMIT", 0.2)
    ended = child.in_fork(lambda: time.sleep(60), tmp_path)
    assert ended.status is None
    assert ended.seconds < 10


def test_a_fork_is_stopped_from_outside(tmp_path):
    ended = child.in_fork(lambda: time.sleep(60), tmp_path, child.Stop(0.1, signal.SIGKILL))
    assert ended.status == -signal.SIGKILL


@pytest.mark.parametrize("seconds", [0.0, 0.01])
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_ends_at_the_write_that_was_named(tmp_path, how, seconds):
    def writes() -> None:
        before_every_write(tmp_path, lambda number: end_after(seconds, how) if number == 3 else None)
        for number in range(6):
            (tmp_path / f"{number}").write_text("x")
            time.sleep(0.1)

    assert child.in_fork(writes, tmp_path).status in (-how, -signal.SIGALRM)
    last = 2 if seconds == 0.0 else 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [str(number) for number in range(last + 1)]


@pytest.mark.parametrize(
    ("written", "understood", "words"),
    [
        ({"Slim": {"prune": {"pruned_ratio": "0.5"}}}, {"prune": {"pruned_ratio": 0.5}}, None),
        ({"Slim": {"prune": {"name": "FPGM"}, "quant": False}}, {"prune": {"name": "fpgm"}}, None),
        ({"Slim": None}, None, None),
        ({"Slim": {"report": True}}, {"report": {}}, None),
        ({"Slim": {"prune": {"pruned_ratio": 0.5}}}, None, "Slim was passed over"),
        ({"Slim": {"prune": {"pruned_ratio": 0.5}}}, {"prune": {}}, "Slim.prune.pruned_ratio was passed over"),
        ({"Slim": {"prune": {"align": True}}}, {"prune": {"align": 1}}, "True was understood as 1"),
        ({"Slim": {"quant": {"weight_bits": 4}}}, {"quant": {"weight_bits": 8}}, "4 was understood as 8"),
        ({"Slim": []}, None, "Slim is []"),
        ({"Slimm": {}}, None, "'Slimm' was passed over"),
        ({"Slim ": {}}, None, "'Slim ' was passed over"),
        ({"Loss": {}, "AMP": {}, "Metric": {}, "Infer": {}}, None, None),
    ],
)
def test_what_was_understood_is_held_against_what_was_written(written, understood, words):
    found = difference(written, understood)
    assert found is None if words is None else words in str(found)


@pytest.mark.parametrize(
    ("text", "overrides"),
    [
        ("Slim: {prune: {pruned_ratio: 0.5}}\nSlim: {}\n", []),
        ("Global: {epochs: 1}\nGlobal: {epochs: 2}\n", []),
        ("Global: [\n", []),
        ("3\n", []),
        ("Global: {epochs: 1}\n", ["Global.epochs"]),
        ("Global: {epochs: 1}\n", ["Global.epochs.x=3"]),
        ("Global: {image_shape: [3, 32, 32]}\n", ["Global.image_shape.3=3"]),
    ],
)
def test_what_means_nothing_has_to_be_refused(tmp_path, text, overrides):
    (tmp_path / "config.yaml").write_text(text)
    with pytest.raises(MeaninglessError):
        what_is_written(tmp_path / "config.yaml", overrides)


def test_values_that_no_one_would_write_are_doubtful():
    good = yaml.safe_load((ROOT / "ppcls_configs/quickstart/digits_prune.yaml").read_text())["Global"]
    assert doubtful(good) == []
    assert doubtful({**good, "epochs": True, "image_shape": [3, 32], "seed": -1}) == ["epochs", "image_shape", "seed"]


def test_a_seed_repeats_its_mutations():
    def mutated(seed: int) -> tuple[str, str]:
        tree = yaml.safe_load((ROOT / "ppcls_configs/quickstart/digits_prune.yaml").read_text())
        what = mutate(random.Random(seed), tree, "code", ("Slim",))
        return what, repr(tree)

    assert [mutated(seed) for seed in range(30)] == [mutated(seed) for seed in range(30)]
    assert len({mutated(seed) for seed in range(30)}) > 20
    assert all(misspelt(random.Random(seed), "Slim") != "" for seed in range(50))


def test_text_is_damaged_before_the_sections_that_are_not_tried(tmp_path):
    good = "Global:\n  epochs: 1\nSlim:\n  prune: {pruned_ratio: 0.5}\nArch:\n  name: CifarResNet8\n"
    for seed in range(60):
        file = tmp_path / "config.yaml"
        file.write_text(good)
        damage_text(random.Random(seed), file, "code")
        rest = file.read_bytes()
        assert rest.endswith(b"Arch:\n  name: CifarResNet8\n") or len(rest) < len(good)


def test_every_damage_to_a_checkpoint_is_done_and_sums_can_be_forged(tmp_path):
    for name, damage in DAMAGES.items():
        folder = tmp_path / name
        folder.mkdir()
        for prefix in ("latest", "epoch_1"):
            arrays = {"conv.weight": np.full([2, 3], len(prefix), np.float32)}
            contents = {".pdparams": arrays, ".pdopt": [arrays], ".pdstates": {"epoch": len(prefix)}}
            for suffix, content in contents.items():
                (folder / f"{prefix}{suffix}").write_bytes(pickle.dumps(content))
            (folder / f"{prefix}.slim.json").write_text(
                json.dumps({"manifest": {".pdopt": ""}, "epoch": len(prefix)})
            )
        target = Target(folder / "latest", folder / "epoch_1", folder / "executed")
        assert damage(random.Random(1), target)
        assert not target.marker.exists()


def test_sums_are_forged_as_the_package_writes_them(tmp_path):
    (tmp_path / "latest.pdparams").write_bytes(b"weights")
    (tmp_path / "latest.slim.json").write_text(json.dumps({"weights": {"sha256": "0"}, "epoch": 1}))
    Target(tmp_path / "latest", tmp_path / "other", tmp_path / "executed").forge_sums()
    expected = hashlib.sha256(b"weights").hexdigest()
    assert json.loads((tmp_path / "latest.slim.json").read_text())["weights"]["sha256"] == expected


def test_numbers_are_compared_and_nothing_is_run(tmp_path):
    class Runs:
        def __reduce__(self):
            return open, (str(tmp_path / "executed"), "w")

    one = {"a": np.zeros(3, np.float32), "b": np.ones(2)}
    for name, content in {"x": one, "y": dict(reversed(one.items())), "z": {**one, "a": np.zeros(3)}}.items():
        (tmp_path / f"{name}.pdparams").write_bytes(pickle.dumps(content))
    (tmp_path / "runs.pdparams").write_bytes(pickle.dumps(Runs()))
    found = weights.digests(tmp_path)
    assert found["x.pdparams"] == found["y.pdparams"] != found["z.pdparams"]
    assert "cannot be read" in found["runs.pdparams"]
    assert not (tmp_path / "executed").exists()
    assert weights.first_difference({"a": "1"}, {"a": "2"}) == "the numbers in a differ"
    assert weights.first_difference({"a": "1"}, {}) == "a was not written"
    assert weights.first_difference({}, {"a": "1"}) == "a was written, and is not of the run"


def test_the_table_counts_results_of_each_kind():
    outcomes = [Outcome("kills", 1, "", RIGHT, "", ""), Outcome("kills", 2, "", HANG, "", "")]
    assert table(outcomes).splitlines()[2] == "| kills | 2 | 1 | 0 | 0 | 0 | 1 | 0 | 0 |"
