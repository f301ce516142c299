"""Trainings that are killed at random moments, and go on with ``--resume auto``, end as if nothing had happened."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time

import pytest
import yaml
from stopped import MASKED, PRUNE, QUANT, TWO_STAGES, assert_same_weights, weights

from conftest import ROOT

KILLS = int(os.environ.get("PPCLS_SLIM_KILLS", "3"))
SEED = int(os.environ.get("PPCLS_SLIM_SEED", "0"))


class Training:
    """``train --resume auto`` in a process of its own."""

    def __init__(self, config, folder):
        self._log = (folder / "log.txt").open("a")
        self.process = subprocess.Popen(
            [sys.executable, str(ROOT / "tools/train.py"), "-c", str(config), "--resume", "auto",
             "-o", f"Global.output_dir={folder / 'output'}"],
            cwd=folder, env={**os.environ, "OMP_NUM_THREADS": "1"}, stdout=self._log, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def killed_after(self, seconds):
        """Kill it then; False if it had ended."""
        try:
            self.process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return True
        return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "section", [{"prune": PRUNE}, {"prune": MASKED}, {"quant": QUANT}, TWO_STAGES],
    ids=["prune", "masked", "quantize", "two-stage"],
)  # fmt: skip
def test_killed_at_random_moments_and_resumed(small, tmp_path, section, request):
    config = yaml.safe_load(small.read_text())
    config["Slim"] = section
    config["Global"].update(epochs=3, save_interval=1)
    config["Optimizer"]["lr"]["learning_rate"] = 0.001  # of which PACT's alphas do not run away
    small.write_text(yaml.safe_dump(config))
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    began = time.monotonic()
    assert Training(small, whole).process.wait() == 0, (whole / "log.txt").read_text()[-3000:]
    duration = time.monotonic() - began
    moments = random.Random(f"{SEED} {request.node.name}")
    kills = []
    while len(kills) < KILLS:
        seconds = moments.uniform(0, duration)
        if not Training(small, parts).killed_after(seconds):
            if kills:
                break  # it was complete
            shutil.rmtree(parts / "output")  # the machine is faster than it was: nothing was tried yet
            duration *= 0.8
            continue
        kills.append(round(seconds, 2))
    assert Training(small, parts).process.wait() == 0, (parts / "log.txt").read_text()[-3000:]
    print(f"seed {SEED}: {request.node.name}, {duration:.1f} s, killed after {json.dumps(kills)} s")
    assert_same_weights(weights(parts / "output"), weights(whole / "output"))
