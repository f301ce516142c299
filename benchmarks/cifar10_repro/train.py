"""Train rows of the FPGM and PACT tables on CIFAR-10, several runs side by side on one GPU.

Usage: python train.py --data DIR --out DIR a, where a is a row of rows.py, or names such as 'r20-dense-s*'

Writes ``NAME.json`` (recipe, environment, time, curve, result) and ``NAME.safetensors`` for every run.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path

import torch
from cifar10 import Cifar10, load_arrays
from rows import Spec, find
from safetensors.torch import save_file
from training import RECIPES, Run, learning_rate


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's options."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="+", help="row letters or run names, with * and ?")
    parser.add_argument("--data", type=Path, required=True, help="folder of cifar10.npz or of the PNG sheets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--weights", type=Path, help="folder of the dense safetensors to start from")
    parser.add_argument("--epochs", type=int, default=200)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--precision", choices=("fp32", "tf32", "bf16"), default="tf32")
    parser.add_argument("--compile", action="store_true", help="torch.compile the loss")
    parser.add_argument("--steps-per-graph", type=int, default=10)
    parser.add_argument("--test-every", type=int, default=1, help="epochs; the last five are always tested")
    parser.add_argument("--save-every", type=int, default=10, help="epochs between writings of the results")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    return parser.parse_args(arguments)


def set_precision(precision: str) -> None:
    """Allow TF32 in convolutions and products unless full float32 is asked for."""
    allowed = precision != "fp32"
    torch.backends.cuda.matmul.allow_tf32 = allowed
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cudnn.benchmark = True


def environment(device: torch.device) -> dict[str, str]:
    """Return what the numbers may depend on."""
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or "CPU"
    cudnn = str(torch.backends.cudnn.version()) if device.type == "cuda" else "none"
    return {"device": name, "torch": torch.__version__, "cudnn": cudnn, "python": platform.python_version()}


def final_accuracy(run: Run) -> float:
    """Return the test accuracy in percent of the weights as they stand, computed in full float32."""
    low, run.low = run.low, False
    set_precision("fp32")
    run.test()
    run.low = low
    return 100.0 * int(run.right) / len(run.data.test_labels)


def report(run: Run, epochs_done: int, seconds: float, options: argparse.Namespace, names: list[str]) -> dict:
    """Return the JSON record of a run."""
    history = run.history[:epochs_done].cpu()
    tests = 100.0 * history[:, 1] / len(run.data.test_labels)
    tuned = run.spec.start is not None
    recipe = RECIPES[run.spec.recipe]
    rates = [learning_rate(epoch, options.epochs, tuned, run.spec.recipe) for epoch in range(options.epochs)]
    return {
        "name": run.spec.name,
        "row": run.spec.label,
        "spec": asdict(run.spec),
        "recipe": {
            "optimizer": f"SGD, Nesterov momentum 0.9, weight decay {recipe.weight_decay:g} on every parameter"
            + (" but LSQ's steps" if run.spec.method == "lsq" else ""),
            "batch": options.batch,
            "steps_per_epoch": run.steps,
            "epochs": options.epochs,
            "learning_rates": (
                "half a cosine from " + f"{rates[0]:g}"
                if recipe.milestones is None
                else sorted({round(rate, 8) for rate in rates})
            ),
            "precision": options.precision,
            "compiled": options.compile,
        },
        "environment": environment(run.data.mean.device),
        "side_by_side": names,
        "seconds": round(seconds, 1),
        "epochs_done": epochs_done,
        "best_top1": round(float(tests.max()), 2),
        "curve": {
            "loss": [round(float(loss), 5) for loss in history[:, 0]],
            "test_top1": [round(float(test), 2) if test >= 0 else None for test in tests],
            "changed_filters": [int(count) for count in history[:, 2]],
        },
    }


def write(run: Run, record: dict, out: Path) -> None:
    """Write the record, a line for each of its keys, and the weights."""
    out.mkdir(parents=True, exist_ok=True)
    save_file(run.parameters.state_dict(), out / f"{run.spec.name}.safetensors")
    lines = ",\n".join(f" {json.dumps(key)}: {json.dumps(value)}" for key, value in record.items())
    (out / f"{run.spec.name}.json").write_text("{\n" + lines + "\n}\n")


def each(runs: list[Run], action: Callable[[Run], None]) -> None:
    """Do something with every run, on a GPU each in its own stream, so that they fill each other's gaps."""
    for run in runs:
        with torch.cuda.stream(run.stream) if run.stream else nullcontext():
            action(run)


def prepare(specs: list[Spec], options: argparse.Namespace) -> list[Run]:
    """Load the data once, build the runs over it and, on a GPU, record their graphs."""
    device = torch.device(options.device)
    data = Cifar10(load_arrays(options.data), device, torch.float32)
    low = options.precision == "bf16"
    runs = [Run(s, data, options.epochs, options.batch, options.weights, low, options.compile) for s in specs]
    if device.type == "cuda":
        if runs[0].steps % options.steps_per_graph:
            raise SystemExit(f"--steps-per-graph has to divide the {runs[0].steps} steps of an epoch")
        for run in runs:
            run.capture(options.steps_per_graph)
    return runs


def train(specs: list[Spec], options: argparse.Namespace) -> list[dict]:
    """Train the runs side by side, epoch by epoch, and return their records."""
    set_precision(options.precision)
    runs = prepare(specs, options)
    on_gpu = runs[0].stream is not None
    replays = runs[0].steps // (options.steps_per_graph if on_gpu else 1)
    names = [spec.name for spec in specs]
    started = time.perf_counter()
    records: list[dict] = []
    for epoch in range(options.epochs):
        done = epoch + 1
        tested = done % options.test_every == 0 or done > options.epochs - 5
        each(runs, lambda run, epoch=epoch: run.begin_epoch(epoch))
        for _ in range(replays):
            each(runs, lambda run: run.do("train"))
        each(runs, lambda run, epoch=epoch, tested=tested: run.end_epoch(epoch, tested))
        if done % options.save_every == 0 or done == options.epochs:
            if on_gpu:
                torch.cuda.synchronize()
            seconds = time.perf_counter() - started
            records = [report(run, done, seconds, options, names) for run in runs]
            for run, record in zip(runs, records):
                write(run, record, options.out)
            tops = [record["curve"]["test_top1"][-1] for record in records]
            print(f"epoch {done} {seconds:.1f} s:", *tops, flush=True)
    for run, record in zip(runs, records):
        record["final_top1"] = final_accuracy(run)
        write(run, record, options.out)
        print(run.spec.name, record["final_top1"], "best", record["best_top1"], flush=True)
    return records


def main() -> None:
    options = parse()
    train(find(options.runs), options)


if __name__ == "__main__":
    main()
