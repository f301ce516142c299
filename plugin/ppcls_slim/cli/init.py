"""``ppcls-slim init``: a Slim section for a goal, or the configurations of the quickstart."""

from __future__ import annotations

import argparse

from ..recipes.quickstart import copy_quickstart
from ..recipes.start import add_section


def init(arguments: argparse.Namespace) -> None:
    """Write what was asked for, and say where it is and what comes next.

    Raises:
        SlimError: see :func:`.add_section` and :func:`.copy_quickstart`.
    """
    if arguments.quickstart is not None:
        folder = copy_quickstart(arguments.quickstart)
        print(f"{folder}: the configurations of the quickstart, with trained weights. Next:")
        print(f"  ppcls-slim train -c {folder / 'digits_prune.yaml'}")
        return
    path, section = add_section(arguments.config, arguments.goal, arguments.engine, arguments.output)
    print(section)
    print(f"{path}: {arguments.config} with this section. Next:")
    for command in ("doctor", "plan", "train"):
        if command != "plan" or "  prune:" in section:
            print(f"  ppcls-slim {command} -c {path} -o Global.pretrained_model=...")
