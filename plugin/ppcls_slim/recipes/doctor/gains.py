"""Does what is asked for gain anything on the engines that it is exported for?"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

from ...compat.paddleclas.types import ClasConfig
from ...config.section import SlimConfig
from ..start import backbone_of
from ..table import Engine, engines, family_of, find_recipe
from .cpu import instructions
from .finding import Finding, error, ok, warning

LITTLE = 1.3
"""int8 that gains less than that is said to gain little."""


def gain_findings(config: ClasConfig, slim: SlimConfig) -> Iterator[Finding]:
    """Look at the engines of ``Slim.deploy.targets``, and at what was measured on them."""
    targets = dict.fromkeys([*slim.deploy.targets, *_timed(slim)])
    family = family_of(backbone_of(config["Arch"]))
    if slim.prune is not None and not find_recipe(family, "fast", None).prunes:
        known = find_recipe(family, "fast", None).note
        yield error("pruning", f"{family} {known}: remove Slim.prune, and quantize instead (Slim.quant)")
    for target in targets:
        engine = engines().get(target)
        if engine is not None:
            yield from _packages(engine)
            if slim.quant is not None:
                yield _int8(family, engine)
    if slim.quant is not None:
        yield from _instructions()


def _timed(slim: SlimConfig) -> list[str]:
    by_latency = slim.prune is not None and slim.prune.by_latency
    return [slim.prune.place.engine] if by_latency and slim.prune and slim.prune.place.engine else []


def _packages(engine: Engine) -> Iterator[Finding]:
    absent = [name for name in engine.packages.split() if not is_installed(name)]
    if absent:
        text = f"{engine.name} needs {', '.join(absent)}: pip install 'ppcls_slim[{engine.extra}]'"
        yield error("engine", f"Slim.deploy.targets: {text}")
    else:
        yield ok("engine", f"{engine.name} is installed")


def is_installed(package: str) -> bool:
    """Whether a package can be imported; it is not."""
    return importlib.util.find_spec(package) is not None


def _int8(family: str, engine: Engine) -> Finding:
    row = find_recipe(family, "accurate", engine.engine)
    if not row.int8_times or row.engine != engine.engine:
        return ok("int8", f"of {family} in {engine.name} was not measured")
    text = f"{row.int8_times} times as fast as FP32 in {engine.name} ({row.backbone})"
    if float(row.int8_times) >= LITTLE:
        return ok("int8", text)
    others = [find_recipe(family, "accurate", one) for one in engines() if one != engine.engine]
    best = max((one for one in others if one.int8_times), key=lambda one: float(one.int8_times), default=None)
    better = best is not None and float(best.int8_times) > float(row.int8_times)
    helps = [f"{engines()[best.engine].name} ({best.int8_times} times)"] if best is not None and better else []
    helps += [f"BF16 ({row.bf16_times} times, without training)"] if row.bf16_times else []
    return warning("int8", f"gains little: {text}; try {' or '.join([*helps, 'Slim.prune.speedup'])}")


def _instructions() -> Iterator[Finding]:
    found = instructions()
    if found is None:
        return
    if found.int8:
        yield ok("CPU", f"{found.int8}{f', {found.bf16}' if found.bf16 else ', no BF16'}")
    else:
        text = "this CPU has no VNNI or AMX: int8 gains little here; measure on the machine that will run the model"
        yield warning("CPU", text)
