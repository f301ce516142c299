"""Which of oneDNN's passes a predictor has to do without."""

from __future__ import annotations

from pathlib import Path

from ..paddle import paddle
from . import channel_mean, interpolation_scales, leaky_relu_fusion

FAULTS = (interpolation_scales, channel_mean, leaky_relu_fusion)


def without_onednn(config: paddle.inference.Config) -> None:
    """Turn oneDNN off, which is on by default since Paddle 3.0 and has to be turned on in 2.6."""
    if hasattr(config, "disable_mkldnn"):
        config.disable_mkldnn()


def broken_passes(program: Path) -> list[str]:
    """Names of the passes that fail or compute wrong numbers for operators of a program.

    All are faults of Paddle 3.x with PIR programs, and of passes that ``Config`` has on unless they are deleted.

    Args:
        program: a file that was exported.
    """
    if program.suffix != ".json":
        return []
    text = program.read_text(encoding="utf-8")
    return [*dict.fromkeys(fault.PASS for fault in FAULTS if fault.applies(text))]


def disable_broken_passes(config: paddle.inference.Config, program: Path) -> None:
    """Turn :func:`broken_passes` off.

    Args:
        config: with oneDNN on.
        program: the file that it will load.
    """
    for name in broken_passes(program):
        config.delete_pass(name)
