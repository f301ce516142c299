"""``ppcls-slim`` with a fault in it, that the campaign has to find: ``python broken.py FAULT robustness ...``."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"
ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "plugin")]

from ppcls_slim.cli import configuration, main  # noqa: E402  (after the path)
from ppcls_slim.config import section  # noqa: E402
from ppcls_slim.engine import hooks  # noqa: E402


def sums_are_all_the_same() -> None:
    """Files of checkpoints are not told apart any more."""

    class Sum:
        def __init__(self, *content):
            pass

        def update(self, content):
            pass

        def hexdigest(self):
            return "0" * 64

    hashlib.sha256 = Sum


def overrides_are_evaluated() -> None:
    """As PaddleClas does it."""
    read = configuration.read_yaml_config

    def read_and_evaluate(path, overrides):
        for one in overrides:
            with suppress(Exception):
                eval(one.partition("=")[2])
        return read(path, overrides)

    configuration.read_yaml_config = read_and_evaluate


def sections_are_passed_over() -> None:
    """``Slim`` may say what it wants."""
    section.SlimConfig.model_validate = classmethod(lambda cls, content: cls())


def epochs_are_not_seeded() -> None:
    """A resumed training sees other images than one that was not stopped."""
    hooks.Seeding.before_epoch = lambda self, model, epoch: None


if __name__ == "__main__":
    globals()[sys.argv[1]]()
    sys.exit(main(sys.argv[2:]))
