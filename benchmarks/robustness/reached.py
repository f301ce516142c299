"""Run a command up to where a model would be built, and tell what it understood."""

from __future__ import annotations

import os
import pickle
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Optional

from ppcls_slim.cli import main
from ppcls_slim.cli.configuration import checked_config
from ppcls_slim.cli.parser import parser
from ppcls_slim.compat.patching import replaced
from ppcls_slim.config.section import read_section
from ppcls_slim.engine import dry_run, engine


@dataclass(frozen=True)
class Understood:
    """What a command made of a configuration.

    Attributes:
        settings: the section ``Global``.
        slim: the section ``Slim``, validated, defaults included; None where there is none.
    """

    settings: dict[str, Any]
    slim: Optional[dict[str, Any]]


class _Reached(BaseException):
    """A model would be built now."""


def up_to_the_model(arguments: Sequence[str], told: Path) -> int:
    """Run a command in this process until it builds a model.

    Args:
        arguments: of ``ppcls-slim``.
        told: file for what it understood; is not written if the command ends before.
    """

    def build(*args: Any, **kwargs: Any) -> None:
        raise _Reached

    assert engine.build_dense is dry_run.build_dense, "what builds models has another name now"
    try:
        with replaced(engine, build_dense=build), replaced(dry_run, build_dense=build):
            return main(arguments)
    except _Reached:
        told.write_bytes(pickle.dumps(_understood(arguments)))
        return os.EX_OK


def _understood(arguments: Sequence[str]) -> Understood:
    """Of the whole configuration: a stage of a training has a part of it."""
    config = checked_config(parser().parse_args(arguments))
    slim = read_section(config)
    return Understood(_plain(config["Global"]), slim.model_dump(exclude_unset=True) if slim is not None else None)


def understood_in(told: Path) -> Optional[Understood]:
    """What :func:`up_to_the_model` wrote, or None."""
    if not told.is_file():
        return None
    understood: Understood = pickle.loads(told.read_bytes())
    return understood


def _plain(value: Any) -> Any:
    """PaddleClas's ``AttrDict`` as dictionaries."""
    if isinstance(value, dict):
        return {key: _plain(part) for key, part in value.items()}
    return [_plain(part) for part in value] if isinstance(value, list) else value
