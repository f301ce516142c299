"""The command line itself."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from conftest import ROOT, output_prefix

TOOLS = (
    "train",
    "eval",
    "infer",
    "export_model",
    "slim_plan",
    "predict",
    "benchmark",
    "prepare_cifar10",
    "import_weights",
    "regress",
)


@pytest.mark.paddle26
@pytest.mark.parametrize("name", TOOLS)
def test_help_answers_within_a_second(name):
    times = []
    for _ in range(3):  # the best of three: the machine may be busy
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, str(ROOT / "tools" / f"{name}.py"), "--help"], capture_output=True, text=True
        )
        times.append(time.perf_counter() - start)
        assert done.returncode == 0
        assert "usage:" in done.stdout
    assert min(times) < 1.0


def test_schema_is_written(cli, tmp_path):
    assert cli("schema", "schema.json").status == 0
    assert json.loads((tmp_path / "schema.json").read_text())["properties"]["Slim"]


@pytest.mark.paddle26
@pytest.mark.parametrize("kind", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_stopped_training_leaves_a_checkpoint_that_loads(small, tmp_path, cli, kind):
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "tools/train.py"), "-c", str(small), "-v", "-o", "Global.epochs=500"],
        cwd=tmp_path, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        for _ in range(1200):
            # os.walk, unlike rglob, does not mind folders that vanish while it looks.
            files = [name for _, _, names in os.walk(tmp_path / "output") for name in names]
            if "epoch_3.pdparams" in files or process.poll() is not None:
                break
            time.sleep(0.1)
        process.send_signal(kind)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    if kind == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 128 + kind
        line = f"ppcls_slim: stopped by {kind.name}; go on with the same command and --resume auto"
        assert [one for one in err.splitlines() if "ccache" not in one and "warnings.warn" not in one] == [line]
    stem = output_prefix(tmp_path / "output", "latest")
    assert cli("eval", "-c", small, "-o", f"Global.pretrained_model={stem}").status == 0
