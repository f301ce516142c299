"""The sub-commands of ``ppcls-slim`` that only a checkout has: their arguments, and what they call.

Imports wait until the command is known, so that ``--help`` answers at once.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

EXIT_BELOW = 1


@dataclass(frozen=True)
class Command:
    """One sub-command.

    Attributes:
        add_parser: adds its arguments to what ``argparse.add_subparsers`` returned.
        run: does it, and returns the exit status (None is 0).
    """

    add_parser: Callable[[Any], None]
    run: Callable[[argparse.Namespace], Optional[int]]


def _add_coverage(commands: Any) -> None:
    text = "prune and quantize every backbone of PaddleClas, and write down what came out"
    coverage = commands.add_parser("coverage", help=text, description=text)
    coverage.add_argument("names", nargs="*", metavar="BACKBONE", help="names or patterns; default: one a family")
    coverage.add_argument("--all", action="store_true", help="every constructor of ppcls.arch.backbone")
    coverage.add_argument("--list", action="store_true", help="only list them, with their parameters")
    coverage.add_argument("--job", action="append", choices=["prune", "quant"], help="default: both")
    coverage.add_argument(
        "--paddleclas",
        type=Path,
        metavar="PLACE",
        help="take the backbones from this wheel, unpacked wheel or checkout (default: the installed PaddleClas)",
    )
    coverage.add_argument(
        "--csv",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="table to continue (default docs/coverage/paddle_VERSION_paddleclas_VERSION.csv); "
        "with --page: tables to read, repeatable",
    )
    coverage.add_argument("--jobs", type=int, default=1, help="processes side by side (default 1)")
    coverage.add_argument("--limit", type=float, default=600, metavar="SECONDS", help="for one job (default 600)")
    coverage.add_argument("--keep", action="store_true", help="keep good rows that an earlier version wrote")
    coverage.add_argument(
        "--work", type=Path, default=Path("output/coverage"), help="folder for what the jobs write (output/coverage)"
    )
    coverage.add_argument("--page", type=Path, metavar="FILE", help="write the documentation's page from --csv")
    coverage.add_argument("--upstream", type=Path, metavar="FILE", help="with --page: PaddleSlim's results (CSV)")


def _add_import_weights(commands: Any) -> None:
    text = "turn PyTorch weights of a CIFAR ResNet (.safetensors) into a .pdparams"
    weights = commands.add_parser("import-weights", help=text, description=text)
    weights.add_argument("source", type=Path, help="the .safetensors file")
    weights.add_argument("--output", type=Path, required=True, help="file to write, with or without .pdparams")
    weights.add_argument("--bits", type=int, help="of a network that was trained with PACT")
    weights.add_argument("--int8", action="store_true", help="write such a network for export to int8")


def _add_regress(commands: Any) -> None:
    text = "hold accuracies against published ones; exits with 1 if one lies below its tolerance"
    regress = commands.add_parser("regress", help=text, description=text)
    regress.add_argument("rows", type=Path, nargs="?", default=Path("benchmarks/regress.yaml"), help="%(default)s")
    regress.add_argument("--only", metavar="PATTERN", help="rows whose names match, for example 'CIFAR*'")
    regress.add_argument(
        "--place", action="append", default=[], metavar="NAME=PATH", help="where data or weights are; repeatable"
    )
    regress.add_argument("--json", type=Path, metavar="FILE", help="also write the results there")


def _add_robustness(commands: Any) -> None:
    text = "mutate configurations, damage checkpoints, kill runs; exits with 1 if anything ends as it must not"
    robustness = commands.add_parser("robustness", help=text, description=text)
    robustness.add_argument(
        "kinds",
        nargs="*",
        metavar="KIND[=COUNT]",
        help="configurations, checkpoints, kills, two_runs, full_disk; default: all, 10,000 / 2,000 / 200 / 20 / 20",
    )
    robustness.add_argument(
        "--scenario", action="append", default=[], metavar="NAME", help="prune, masked, ...; repeatable; default: all"
    )
    robustness.add_argument("--seed", type=int, default=0, help="of the campaign (default 0)")
    robustness.add_argument("--minutes", type=float, default=60, help="begin no further case after them (default 60)")
    robustness.add_argument("--jobs", type=int, default=2, help="cases at a time (default 2)")
    robustness.add_argument("--case", metavar="KIND:SEED", help="repeat one case and keep its files")
    robustness.add_argument("--work", type=Path, metavar="FOLDER", help="for temporary files (default: a new one)")
    robustness.add_argument(
        "--json", type=Path, metavar="FILE", default=Path("output/robustness.json"), help="default: %(default)s"
    )


def _coverage(arguments: argparse.Namespace) -> None:
    from benchmarks.backbones.command import coverage

    coverage(arguments)


def _import_weights(arguments: argparse.Namespace) -> None:
    from benchmarks.accuracy.import_weights import import_weights

    arch = import_weights(arguments.source, arguments.output, arguments.bits, arguments.int8)
    print(f"{arguments.output}: use it with {arch}")


def _regress(arguments: argparse.Namespace) -> int:
    from benchmarks.accuracy.regress import regress

    return 0 if regress(arguments.rows, arguments.only, arguments.place, arguments.json) else EXIT_BELOW


def _robustness(arguments: argparse.Namespace) -> int:
    from benchmarks.robustness.command import robustness

    return 0 if robustness(arguments) else EXIT_BELOW


COMMANDS: dict[str, Command] = {
    "coverage": Command(_add_coverage, _coverage),
    "import-weights": Command(_add_import_weights, _import_weights),
    "regress": Command(_add_regress, _regress),
    "robustness": Command(_add_robustness, _robustness),
}
