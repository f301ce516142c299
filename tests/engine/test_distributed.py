"""Two processes on a CPU: ``python -m paddle.distributed.launch`` in front of train and eval."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from stopped import TWO_STAGES, assert_same_weights, weights

from conftest import ROOT, output_prefix
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26


def launch(tool, folder, *arguments):
    return launch_script(folder, ROOT / "tools" / f"{tool}.py", *arguments)


def launch_script(folder, script, *arguments):
    return subprocess.run(
        [
            sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "log",
            str(script), *map(str, arguments),
        ],
        cwd=folder, capture_output=True, text=True, timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip


def told_by_two(tmp_path, script):
    """Run a script in two processes; return what each wrote to ``rank0.json`` and ``rank1.json``."""
    done = subprocess.run(
        [sys.executable, "-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir", "log", str(script)],
        cwd=tmp_path, capture_output=True, text=True, timeout=500,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    logs = "".join(path.read_text() for path in sorted((tmp_path / "log").glob("workerlog.*")))
    assert done.returncode == 0, logs[-3000:] + done.stderr[-3000:]
    return [json.loads((tmp_path / f"rank{rank}.json").read_text()) for rank in (0, 1)]


def test_two_processes_prune_alike_train_and_evaluate(small, tmp_path):
    # Without a seed the two processes draw different weights, and would choose different channels.
    # The report is the first process's alone: nothing in it may wait for the second.
    report = ("-o", "Slim.report={latency_runs: 2}")
    done = launch("train", tmp_path, "-c", small, "-o", "Global.seed=None", *report)
    logs = "".join(path.read_text() for path in sorted((tmp_path / "log").glob("workerlog.*")))
    assert done.returncode == 0, logs[-3000:] + done.stderr[-3000:]
    stem = output_prefix(tmp_path / "output", "latest")
    plan = json.loads(stem.with_name("latest.slim.json").read_text())["prune"]
    weights = paddle.load(f"{stem}.pdparams")
    assert weights["conv.conv.weight"].shape[0] == 4
    assert plan["flops"]["pruned"] < plan["flops"]["dense"]
    assert "exported to" in logs
    first, second = ((tmp_path / f"log/workerlog.{rank}").read_text() for rank in (0, 1))
    for shown in ("output: ", "epoch 1/1: loss "):
        assert shown in first
        assert shown not in second
    assert "latency, batch 1" in logs

    done = launch("eval", tmp_path, "-c", small, "-o", f"Global.pretrained_model={stem}")
    log = (tmp_path / "log/workerlog.0").read_text()
    assert done.returncode == 0, log[-3000:]
    assert "[Eval][Epoch 0][Avg]" in done.stdout + log


def test_two_processes_quantize_alike_and_train(small, tmp_path):
    """Both write their alphas and scales after the epoch; they are the same numbers."""
    import yaml

    config = yaml.safe_load(small.read_text())
    config["Slim"] = {"quant": {"name": "pact", "calibration_batches": 1}}
    config["Optimizer"]["lr"]["learning_rate"] = 0.001
    config["Global"]["seed"] = None
    small.write_text(yaml.safe_dump(config))
    script = tmp_path / "train_and_tell.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'plugin')!r})\n"
        "from ppcls_slim.quant import prepare\n"
        "import paddle, json\n"
        "after = prepare.after_epoch\n"
        "def told(model, record, epoch, history):\n"
        "    after(model, record, epoch, history)\n"
        "    values = {k: v.numpy().tolist() for k, v in model.state_dict().items()\n"
        "              if 'alpha' in k or '_fake_quant_input' in k or '_ma_output' in k}\n"
        "    json.dump(values, open(f'rank{paddle.distributed.get_rank()}.json', 'w'))\n"
        "prepare.after_epoch = told\n"
        "from ppcls_slim.cli import main\n"
        f"sys.exit(main(['train', '-c', {str(small)!r}]))\n"
    )
    first, second = told_by_two(tmp_path, script)
    assert any("alpha" in name for name in first)
    assert first == second


def test_two_processes_zero_the_same_filters_and_mask_them(small, tmp_path):
    import yaml

    config = yaml.safe_load(small.read_text())
    config["Slim"]["prune"]["schedule"] = {"name": "masked"}
    config["Global"]["seed"] = None
    small.write_text(yaml.safe_dump(config))
    script = tmp_path / "train_and_tell.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'plugin')!r})\n"
        "from ppcls_slim.prune.schedules.schedule import Schedule\n"  # before Paddle, for SciPy on 2.6.2
        "import json, paddle\n"
        "choose = Schedule.choose_and_zero\n"
        "told = []\n"
        "def telling(self, model):\n"
        "    changed = choose(self, model)\n"
        "    told.append(self.chosen)\n"
        "    json.dump(told, open(f'rank{paddle.distributed.get_rank()}.json', 'w'))\n"
        "    return changed\n"
        "Schedule.choose_and_zero = telling\n"
        "from ppcls_slim.cli import main\n"
        f"sys.exit(main(['train', '-c', {str(small)!r}]))\n"
    )
    first, second = told_by_two(tmp_path, script)
    assert len(first) == 2 and first[-1]  # before the first epoch, and after it
    assert first == second
    assert output_prefix(tmp_path / "output", "pruned_model")


@pytest.mark.slow
def test_two_processes_go_on_where_the_first_finds_the_checkpoint(small, tmp_path):
    """Two stages, stopped in the first and in the second; the weights are those of a training in one go."""
    import yaml

    config = yaml.safe_load(small.read_text())
    config["Slim"] = TWO_STAGES
    small.write_text(yaml.safe_dump(config))
    kill = tmp_path / "train_and_die.py"
    kill.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'plugin')!r})\n"
        "import json, os, signal\n"
        "from ppcls_slim.engine.hooks import Seeding\n"
        "from ppcls_slim.engine.engine import SlimEngine\n"
        "folder, stage, epoch = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])\n"
        "train, before_epoch, trained = SlimEngine.train, Seeding.before_epoch, []\n"
        "def counted(engine):\n"
        "    trained.append(engine)\n"
        "    train(engine)\n"
        "def killed(hook, model, number):\n"
        "    if (len(trained), number) == (stage, epoch):\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
        "    before_epoch(hook, model, number)\n"
        "SlimEngine.train, Seeding.before_epoch = counted, killed\n"
        "from ppcls_slim.cli import main\n"
        f"sys.exit(main(['train', '-c', {str(small)!r}, '--resume', 'auto',\n"
        "    '-o', 'Global.epochs=2', 'Global.output_dir=' + folder]))\n"
    )
    for folder, stage, epoch in [("parts", 1, 2), ("parts", 2, 2), ("parts", 9, 9), ("whole", 9, 9)]:
        done = launch_script(tmp_path, kill, folder, stage, epoch)
        log = (tmp_path / "log/workerlog.0").read_text()
        assert (done.returncode == 0) == (stage == 9), log[-3000:]
        if (folder, stage) == ("parts", 9):
            assert "going on with parts/MobileNetV1_x0_25/latest" in log  # of the second stage
    assert_same_weights(weights(tmp_path / "parts"), weights(tmp_path / "whole"))
