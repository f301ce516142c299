"""``ppcls-slim doctor``: what will go wrong or gain nothing, looked at in seconds, before training.

What training itself refuses is asked of the same functions (:mod:`ppcls_slim.engine.preflight`); here all of it is
said at once, and beside it what training would let pass.
"""

from __future__ import annotations

from collections.abc import Iterator

from ...common.errors import SlimError
from ...compat.paddleclas.types import ClasConfig
from ...config.clas import check_sections
from ...config.section import SlimConfig, read_section
from ...config.steps import epochs_of_steps
from .data import data_findings
from .finding import ERROR, Finding, ok
from .gains import gain_findings
from .machine import machine_findings, version_findings
from .model import model_findings
from .training import training_findings

__all__ = ["ERROR", "Finding", "diagnose"]


def diagnose(config: ClasConfig) -> Iterator[Finding]:
    """Look at a configuration and at this machine; nothing is trained or written.

    Args:
        config: PaddleClas configuration.
    """
    yield from version_findings()
    slim, problem = SlimConfig(), None
    try:
        slim = read_section(config) or slim
        check_sections(config, "train")
        epochs_of_steps(config, slim)
    except SlimError as error:
        problem = Finding(ERROR, "configuration", str(error))
    if problem is not None:
        yield problem
        return  # whatever else is asked would stumble over it
    yield ok("configuration", _asked(slim))
    checkpoint, findings = model_findings(config, slim)
    yield from findings
    yield from data_findings(config, slim)
    yield from training_findings(config, slim, checkpoint)
    yield from gain_findings(config, slim)
    yield from machine_findings(config, checkpoint)


def _asked(slim: SlimConfig) -> str:
    parts = [name for name in ("prune", "quant", "distill") if getattr(slim, name) is not None]
    return f"Slim: {', '.join(parts)}" if parts else "no Slim section: the model stays dense"
