"""One training at a time in an output folder; saves into one folder come one after the other."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest

from conftest import ROOT
from ppcls_slim import checkpoint as checkpoints
from ppcls_slim.common.errors import SlimError
from ppcls_slim.common.locks import run_lock

pytestmark = pytest.mark.paddle26
HOLD = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from ppcls_slim.common.locks import run_lock
with run_lock(Path(sys.argv[2]), "Global.output_dir"):
    if len(sys.argv) > 3 and os.fork() == 0:  # a data worker, which notices a moment later
        time.sleep(2)
        os._exit(0)
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the folder; more arguments give it a child."""
    started = []

    def start(*more):
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(ROOT / "plugin"), str(tmp_path / "output"), *more],
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()


def hold(folder):
    with run_lock(folder, "Global.output_dir"):
        return json.loads((folder / "locks/holder.json").read_text())


def test_a_second_training_is_told_who_holds_the_folder(holder, tmp_path):
    process = holder()
    with pytest.raises(SlimError, match=r"Global\.output_dir: .*output is in use by another training") as refused:
        hold(tmp_path / "output")
    line = str(refused.value)
    assert f"process {process.pid} on {socket.gethostname()}, since 20" in line
    assert "-o Global.output_dir=" in line and "\n" not in line


def test_the_command_says_so_too(cli, small, holder):
    holder()
    result = cli("train", "-c", small)
    assert result.status == 2
    assert "is in use by another training" in result.message


@pytest.mark.parametrize("more", [[], ["with a data worker that lives on"]])
def test_a_kill_releases_the_folder(holder, tmp_path, more):
    process = holder(*more)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert hold(tmp_path / "output")["pid"] == os.getpid()


def test_the_end_releases_the_folder_and_one_process_may_hold_it_twice(holder, tmp_path):
    with run_lock(tmp_path / "output", "a"), run_lock(tmp_path / "output", "b"):
        since = json.loads((tmp_path / "output/locks/holder.json").read_text())
    assert since["pid"] == os.getpid()
    holder()


def test_a_damaged_note_about_the_holder_does_no_harm(holder, tmp_path):
    holder()
    for content in ("", "[1]", '{"pid": "x"}', '{"pid": 1e400}', "[" * 100_000):
        (tmp_path / "output/locks/holder.json").write_text(content)
        with pytest.raises(SlimError, match="is in use by another training"):
            hold(tmp_path / "output")


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "output").write_text("")
    with pytest.raises(SlimError, match=r"Global\.output_dir: .*output cannot be written"):
        hold(tmp_path / "output")


def save(folder, number):
    def write(writing):
        for suffix in (".pdparams", ".pdopt", ".pdstates"):
            (writing / f"latest{suffix}").write_text(f"{number} " * 100)

    checkpoints.save(folder, "latest", write, {"number": number})


def forked(action):
    """Run an action in another process; return its number."""
    child = os.fork()
    if child:
        return child
    try:
        action()
    except BaseException as error:
        print(error, file=sys.stderr)
        os._exit(1)
    os._exit(0)


def succeeded(children):
    return [os.waitpid(child, 0)[1] for child in children] == [0] * len(children)


def numbers(folder):
    return {(folder / f"latest{suffix}").read_text().split()[0] for suffix in (".pdparams", ".pdopt", ".pdstates")}


def test_saves_of_several_processes_do_not_mix(tmp_path):
    def many(worker):
        return lambda: [save(tmp_path, 100 * worker + i) for i in range(25)]

    assert succeeded([forked(many(worker)) for worker in range(4)])
    (number,) = numbers(tmp_path)
    assert checkpoints.open_checkpoint(str(tmp_path / "latest"), "test").metadata.number == int(number)
    assert re.fullmatch(r"\d+", number)


def test_who_reads_while_another_saves_gets_one_save(tmp_path):
    save(tmp_path, 0)
    child = forked(lambda: [save(tmp_path, i) for i in range(100)])
    read, end = 0, time.monotonic() + 60
    while os.waitpid(child, os.WNOHANG)[0] == 0 and time.monotonic() < end:
        assert checkpoints.open_checkpoint(str(tmp_path / "latest"), "test").metadata.number >= 0
        read += 1
    assert read > 3
