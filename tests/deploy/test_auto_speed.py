"""``Slim.quant.skip: auto-speed``: the layers that a measuring engine runs no faster in int8 stay float."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.config.quant import QuantConfig
from ppcls_slim.config.section import read_section
from ppcls_slim.deploy import auto_speed

LAYERS = ["stem", "blocks.0.conv", "blocks.1.conv", "blocks.0.se.conv", "blocks.1.se.conv", "fc"]
FLOAT_IS_FASTER = {"blocks.*.se.conv": 3.0, "fc": 2.0}
"""Role -> milliseconds that the network takes less with it in float; the other roles take one more."""


class Engine:
    """Takes 10 ms, and what the layers in float take more or less."""

    engine = "an engine"

    def __init__(self):
        self.written = {}

    def write(self, job, folder: Path) -> None:
        if set(job.left_float) == {"stem"}:
            raise SlimError("this engine wants the first layer in int8")
        self.written[folder] = list(job.left_float)

    def load(self, folder: Path, device: str = "cpu", threads: int = 1, precision: str = "auto"):
        roles = {auto_speed.role_of(layer) for layer in self.written[folder]}
        milliseconds = 10 - sum(FLOAT_IS_FASTER.get(role, -1.0) for role in roles)

        return lambda images: milliseconds


@pytest.fixture
def job(monkeypatch):
    monkeypatch.setattr(auto_speed, "layers_of_weights", lambda model: {f"{name}.w": name for name in LAYERS})
    monkeypatch.setattr(auto_speed, "replace", lambda job, **changes: SimpleNamespace(**{**vars(job), **changes}))
    monkeypatch.setattr(auto_speed, "latencies", lambda runs, times: [run() for run in runs])
    monkeypatch.setattr(auto_speed, "say", lambda line: None)
    record = SimpleNamespace(layers=dict.fromkeys(LAYERS, "plain"))
    return SimpleNamespace(
        quant=record, model=None, input_shape=(3, 4, 4), device="cpu", sidecar=lambda found: {}, left_float={}
    )


def test_roles_that_gain_in_float_stay_float_together(job):
    found = auto_speed.slow_in_int8(Engine(), job)
    assert found == {name: f"{name}.w" for name in ("blocks.0.se.conv", "blocks.1.se.conv", "fc")}


def test_a_network_of_one_role_stays_int8(job):
    job.quant.layers = {"fc": "plain"}
    assert auto_speed.slow_in_int8(Engine(), job) == {}


def test_auto_speed_stands_alone_or_among_patterns():
    for skip, patterns in (("auto-speed", []), (["fc", "auto-speed"], ["fc"])):
        settings = QuantConfig.model_validate({"skip": skip})
        assert settings.skips_slow_layers
        assert settings.skip_patterns == patterns
    assert not QuantConfig(skip=["fc"]).skips_slow_layers


def test_a_misspelt_auto_speed_is_one_line():
    with pytest.raises(SlimError, match=r"Slim\.quant\.skip.*did you mean 'auto-speed'"):
        read_section({"Slim": {"quant": {"skip": "auto-sped"}}})
