"""What the file system refuses is one line: path, reason, remedy."""

from __future__ import annotations

import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from conftest import ROOT, output_prefix

pytestmark = pytest.mark.paddle26

READ_ONLY = Path("/sys/ppcls_slim")  # for every user, root too


@contextmanager
def files_of_at_most(size):
    """What a full disk does to a file that grows, for this process."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def trained(cli, small, tmp_path):
    """Override that names a pruned checkpoint."""
    assert cli("train", "-c", small).status == 0
    return f"Global.pretrained_model={output_prefix(tmp_path / 'output', 'latest')}"


def test_a_full_disk_stops_a_training_and_keeps_what_was_saved(cli, small, tmp_path, trained):
    latest = output_prefix(tmp_path / "output", "latest").with_name("latest.pdparams")
    before = latest.read_bytes()
    with files_of_at_most(100_000):
        stopped = cli("train", "-c", small, "-o", "Global.epochs=2", "--resume", "auto")
    assert stopped.status == 2
    assert f"{tmp_path / 'output'}: File too large; free space there, or write to another place" in stopped.message
    assert "Traceback" not in stopped.out + stopped.err
    assert latest.read_bytes() == before
    assert cli("train", "-c", small, "-o", "Global.epochs=2", "--resume", "auto").status == 0


def test_a_full_disk_stops_an_export_and_leaves_nothing(cli, small, tmp_path, trained):
    with files_of_at_most(100_000):
        stopped = cli("export", "-c", small, "-o", trained)
    assert stopped.status == 2
    assert "inference" in stopped.message  # Paddle cuts its files off in silence: then what is damaged is said
    assert not list(tmp_path.glob("*inference*"))


def test_a_log_that_cannot_be_written_does_not_stop_what_needs_no_file(cli, small, trained):
    with files_of_at_most(10):
        done = cli("eval", "-c", small, "-o", trained, "-o", "Global.output_dir=elsewhere")
    assert done.status == 0
    assert "Traceback" not in done.out + done.err


@pytest.mark.parametrize("command", ["train", "eval", "export"])
@pytest.mark.parametrize("kind", ["read-only", "file"])
def test_a_folder_that_cannot_be_made(cli, small, tmp_path, digits, command, kind):
    (tmp_path / "taken").write_text("a file")
    place = READ_ONLY if kind == "read-only" else tmp_path / "taken"
    result = cli(command, "-c", small, "-o", "Slim=None", "-o", f"Global.output_dir={place}")
    assert result.status == 2
    assert str(place) in result.message
    assert ("is where a folder belongs" if kind == "file" else "or give another place") in result.message


def test_an_export_into_the_place_of_a_file(cli, small, tmp_path, trained):
    (tmp_path / "inference").write_text("a file")
    assert "a file is where a folder belongs" in cli("export", "-c", small, "-o", trained).message
    assert (tmp_path / "inference").read_text() == "a file"


@pytest.mark.parametrize(
    ("place", "words"),
    [
        (READ_ONLY / "plan.json", ["/sys", "give another place"]),
        ("taken/plan.json", ["taken", "a file is where a folder belongs"]),
        (".", ["a folder is where a file belongs"]),
        ("/dev/full", ["/dev/full: No space left on device"]),
    ],
)
def test_a_json_file_that_cannot_be_written(cli, small, tmp_path, place, words):
    (tmp_path / "taken").write_text("a file")
    for arguments in (["plan", "-c", small, "--json", place], ["schema", place]):
        result = cli(*arguments)
        assert result.status == 2
        assert all(word in result.message for word in words), result.message


def test_a_folder_in_the_place_of_a_checkpoint(cli, small, tmp_path, trained):
    latest = output_prefix(tmp_path / "output", "latest").with_name("latest.pdparams")
    latest.unlink()
    latest.mkdir()
    for arguments in ([], ["--resume", "auto"]):
        message = cli("train", "-c", small, *arguments).message
        assert f"{latest}: Is a directory; a folder is where a file belongs" in message
    latest.rmdir()
    resumed = cli("train", "-c", small, "--resume", "auto")  # what was saved meanwhile takes its place
    assert resumed.status == 0, resumed.err
    assert f"going on with {latest.with_suffix('')}" in resumed.out


def test_predictions_that_cannot_be_written(cli, small, tmp_path, digits, trained):
    assert cli("export", "-c", small, "-o", trained).status == 0
    image = digits / "images/test/0021_1.png"
    result = cli("predict", "--model-dir", "inference", "--images", image, "--json", "/dev/full")
    assert "/dev/full: No space left on device" in result.message


def test_json_into_a_pipe_or_a_device_leaves_it_what_it_is(cli):
    assert cli("schema", "/dev/null").status == 0
    assert Path("/dev/null").is_char_device()


def test_standard_output_on_a_full_disk(tmp_path):
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "ppcls_slim.cli", "schema"], cwd=ROOT / "plugin", stdout=full,
            stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.startswith("ppcls_slim: error: standard output: No space left on device")
    assert done.stderr.count("\n") == 1


def test_a_home_folder_that_cannot_be_written_to(tool, small, tmp_path):
    """Paddle and visualdl make folders in it when they are imported."""
    done = tool("slim_plan", "-c", small, HOME="/dev/null", MPLBACKEND="agg")
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("ppcls_slim: warning: the home folder /dev/null cannot be written to") == 1


@pytest.mark.parametrize("device", ["xpu", "npu", "tpu", "gpu:0", 3])
def test_a_device_that_this_paddle_cannot_use(cli, small, device):
    message = cli("train", "-c", small, "-o", f"Global.device={device}").message
    assert "Global.device" in message and str(device) in message
