"""What every sub-command calls. Imports wait until the sub-command is known, so that ``--help`` answers at once."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from ..common.atomic import write_text
from ..common.console import Verbosity, console
from ..common.errors import SlimError
from . import signals

if TYPE_CHECKING:
    from ..compat.paddleclas.types import ClasConfig, DataLoader
    from ..engine.engine import SlimEngine


def _train(arguments: argparse.Namespace) -> None:
    from .configuration import checked_config

    config = checked_config(arguments)  # before the seconds that importing Paddle takes
    if arguments.resume is not None:
        config["Global"]["checkpoints"] = arguments.resume
    from ..engine.after_training import report_after_training
    from ..engine.stages import train

    signals.unwind()
    engine = train(config)
    exported = report_after_training(engine)
    _say_page((exported or engine).page)


def _eval(arguments: argparse.Namespace) -> None:
    _engine(arguments, "eval").eval()


def _infer(arguments: argparse.Namespace) -> None:
    _engine(arguments, "infer").infer()


def _export(arguments: argparse.Namespace) -> None:
    from ..engine.after_training import print_comparison

    engine = _engine(arguments, "export")
    rows = engine.export()
    if rows and console.verbosity < Verbosity.VERBOSE:  # the log has the table
        print_comparison(rows, engine)
    _say_page(engine.page)


def _plan(arguments: argparse.Namespace) -> None:
    from .configuration import read_config

    config = read_config(arguments)
    from ..engine.dry_run import dry_run

    signals.unwind()
    dry_run(config, arguments.json)


def _predict(arguments: argparse.Namespace) -> None:
    from ..deploy.predict import predict

    signals.unwind()
    predict(arguments)


def _benchmark(arguments: argparse.Namespace) -> None:
    from .configuration import read_config

    config = read_config(arguments) if arguments.config else None
    from ..compat.paddle import default_device
    from ..compat.paddleclas.console_log import init_logger
    from ..deploy import benchmark

    signals.unwind()
    init_logger()  # which PaddleClas's Engine does elsewhere
    device = arguments.device or default_device()
    folders, warnings = arguments.folders, list[str]()
    if arguments.engine is not None:
        folders = [export for folder in folders for export in benchmark.exports_in(folder, arguments.engine)]
    measured = benchmark.benchmark(
        folders,
        arguments.batch_size,
        device,
        arguments.threads,
        arguments.precision,
        arguments.runs,
        _evaluation_data(config) if config else None,
        arguments.samples,
        console.note,
        warnings.append,
    )
    print(benchmark.table(measured))
    print(f"{device}, {arguments.threads} thread(s), {arguments.runs} runs of each in turns")
    if arguments.json:
        benchmark.write_json(arguments.json, measured, device, arguments.threads, warnings)
    for warning in warnings:
        print(f"warning: {warning}", file=sys.stderr)


def _evaluation_data(config: ClasConfig) -> DataLoader:
    from ..compat.paddleclas.console_log import init_logger
    from ..engine import engine  # noqa: F401  (makes our data sets known to PaddleClas)
    from ..verify.samples import evaluation_data

    init_logger()  # which data sets expect, and PaddleClas's Engine does
    loader = evaluation_data(config)
    if loader is None:
        raise SlimError("-c: DataLoader.Eval names no data that is there; set -o DataLoader.Eval.dataset.image_root=")
    return loader


def _prepare_cifar10(arguments: argparse.Namespace) -> None:
    from ..zoo.datasets.prepare_cifar10 import prepare

    arrays = prepare(arguments.source, arguments.output)
    counts = ", ".join(f"{len(arrays[f'{split}_labels'])} {split}" for split in ("train", "test"))
    print(f"{arguments.output}: {counts} images")


def _report(arguments: argparse.Namespace) -> None:
    from ..report.html.command import draw

    for page in draw(arguments.folders, arguments.output):
        _say_page(page)


def _say_page(page: Optional[Path]) -> None:
    if page is not None:
        print(f"report: {page}")


def _schema(arguments: argparse.Namespace) -> None:
    import json

    from ..config.section import json_schema

    text = json.dumps(json_schema(), indent=2)
    if arguments.file == "-":
        print(text)
    else:
        write_text(Path(arguments.file), text + "\n")


def _init(arguments: argparse.Namespace) -> None:
    from .init import init

    init(arguments)


def _doctor(arguments: argparse.Namespace) -> int:
    from .doctor import doctor

    signals.unwind()
    return doctor(arguments)


def _engine(arguments: argparse.Namespace, mode: str) -> SlimEngine:
    from .configuration import checked_config

    config = checked_config(arguments)  # before the seconds that importing Paddle takes
    from ..engine.engine import SlimEngine

    signals.unwind()
    return SlimEngine(config, mode)


COMMANDS: dict[str, Callable[[argparse.Namespace], Optional[int]]] = {
    "train": _train,
    "eval": _eval,
    "infer": _infer,
    "export": _export,
    "plan": _plan,
    "predict": _predict,
    "benchmark": _benchmark,
    "report": _report,
    "prepare-cifar10": _prepare_cifar10,
    "schema": _schema,
    "init": _init,
    "doctor": _doctor,
}
