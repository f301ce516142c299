"""Keyword arguments or a mapping as a part of the ``Slim`` section: the same classes, the same messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from ..common.errors import SlimError
from ..config.prune import PruneConfig
from ..config.quant import QuantConfig
from ..config.section import SlimConfig, read_section

NOT_HERE = {
    "prune": {
        "schedule": "zeroes filters while PaddleClas trains",
        "steps": "is several trainings of PaddleClas, with pruning before each",
    },
    "quant": {
        "epochs": "is a second training of PaddleClas; train the network that quantize returns",
        "learning_rate": "is that of a second training of PaddleClas; give it to your optimizer",
        "max_drop": "belongs to skip: auto, which measures accuracy while PaddleClas trains",
    },
}
"""Keys of the section that act on PaddleClas's training."""


def prune_section(settings: Optional[Mapping[str, Any]], keys: Mapping[str, Any]) -> PruneConfig:
    """Return ``Slim.prune`` as it is validated.

    Raises:
        SlimError: a key is unknown, out of range, or needs PaddleClas's training.
    """
    found = _section("prune", settings, keys).prune
    assert found is not None
    return found


def quant_section(settings: Optional[Mapping[str, Any]], keys: Mapping[str, Any]) -> QuantConfig:
    """Return ``Slim.quant`` as it is validated.

    Raises:
        SlimError: a key is unknown, out of range, or needs PaddleClas's training.
    """
    found = _section("quant", settings, keys).quant
    assert found is not None
    if found.skips_costly_layers:
        raise SlimError("Slim.quant.skip: auto measures accuracy while PaddleClas trains: name the layers here")
    return found


def _section(part: str, settings: Optional[Mapping[str, Any]], keys: Mapping[str, Any]) -> SlimConfig:
    if settings is not None and not isinstance(settings, Mapping):
        raise SlimError(f"Slim.{part}: settings is a {type(settings).__name__}: give a mapping, or keyword arguments")
    content = {**(settings or {}), **keys}
    for key, why in NOT_HERE[part].items():
        if content.get(key) is not None:
            raise SlimError(f"Slim.{part}.{key} {why}: remove it here")
    section = read_section({"Slim": {part: content}})
    assert section is not None
    return section
