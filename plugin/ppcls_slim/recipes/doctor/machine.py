"""Versions, the output folder, and room on the disk."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Optional

from ...checkpoint import Checkpoint
from ...common.errors import SlimError
from ...common.locks import held_by
from ...compat.known_good import MISSING, TESTED, versions
from ...compat.paddleclas.types import ClasConfig
from ...engine.build import build_untrained
from .finding import Finding, error, ok, warning

STATES = {"Momentum": 1, "SGD": 0, "Adam": 2, "AdamW": 2, "AdamWDL": 2, "RMSProp": 2}
"""Numbers that an optimizer keeps for every weight."""
FLOAT_BYTES = 4


def version_findings() -> Iterator[Finding]:
    """Look at Paddle, PaddleClas and PaddleSlim."""
    for found in versions():
        what = f"{found.package} {found.version}"
        known = " and ".join(f"{one}*" if one.endswith(".") else one for one in TESTED[found.package])
        if found.version == MISSING:
            remedy = "only benchmarks need it: pip install --no-deps paddleslim==2.6.0"
            yield warning("version", f"{found.package} is not installed; {remedy}")
        elif found.tested:
            yield ok("version", what)
        else:
            yield warning("version", f"{what} is not tested; {known} are: install one of them if something fails")


def machine_findings(config: ClasConfig, checkpoint: Optional[Checkpoint]) -> Iterator[Finding]:
    """Look at ``Global.output_dir``, and build the model to know how much will be written there."""
    folder = Path(config["Global"]["output_dir"])
    yield _folder(folder, config)
    try:
        model = build_untrained(config)
    except SlimError as refused:
        yield error("model", str(refused))
        return
    parameters = sum(int(one.size) for one in model.parameters())
    yield ok("model", f"{config['Arch']['name']} has {parameters / 1e6:.2f} M parameters")
    yield _disk(folder, config, parameters)


def _folder(folder: Path, config: ClasConfig) -> Finding:
    holder = held_by(folder)
    if holder is not None:
        text = f"Global.output_dir: {folder} is in use by {holder}: wait for it or stop it, or give another folder"
        return error("output", text)
    place = _existing(folder)
    if not place.is_dir() or not os.access(place, os.W_OK):
        return error("output", f"Global.output_dir: {place} cannot be written; give another folder")
    saved = next(folder.rglob("*.pdparams"), None) if folder.is_dir() else None
    if saved is not None and not config["Global"].get("checkpoints"):
        text = f"Global.output_dir: {folder} has checkpoints of an earlier training, which will be replaced"
        return warning("output", f"{text}: give another folder, or go on with train --resume auto")
    return ok("output", str(folder))


def _disk(folder: Path, config: ClasConfig, parameters: int) -> Finding:
    section, optimizer = config["Global"], config["Optimizer"]
    name = optimizer.get("name") if isinstance(optimizer, dict) else None
    one = parameters * FLOAT_BYTES * (1 + STATES.get(str(name), 2))
    kept = section["epochs"] // section["save_interval"] if section["save_interval"] > 0 else 0
    needed, free = one * (kept + 3), shutil.disk_usage(_existing(folder)).free  # latest, best, and one being written
    text = f"{needed / 1e9:.2f} GB for {kept + 2} checkpoints of {one / 1e6:.1f} MB, {free / 1e9:.1f} GB are free"
    if needed > free:
        return error("disk", f"{text} at {folder}: raise Global.save_interval, or write to another place")
    return ok("disk", text)


def _existing(path: Path) -> Path:
    """The folder that is there, and would hold it."""
    path = path.absolute()
    while not path.exists():
        path = path.parent
    return path
