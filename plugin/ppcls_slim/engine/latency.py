"""The latency meter of a configuration: exports the model as ``tools/export_model.py`` would, and times it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Optional

from ..compat.paddle import paddle
from ..compat.paddleclas.types import ClasConfig
from ..config.section import SlimConfig
from ..deploy.latency.meter import EngineMeter
from ..deploy.latency.network_meter import network_meter
from ..prune.apply import apply_slices
from ..prune.slices import SlicePlan
from .build import build_untrained, wrapped


def latency_meter(
    config: ClasConfig, slim: SlimConfig, model: paddle.nn.Layer, tell: Callable[[str], None]
) -> Optional[EngineMeter]:
    """Return the meter of the engine that ``Slim.prune.on`` names; None where latency is not asked for.

    Args:
        config: PaddleClas configuration.
        slim: its section.
        model: dense, with its weights.
        tell: shows the user a line.

    Raises:
        SlimError: the engine is not installed, its latency cannot be measured, or there are fewer CPUs than threads.
    """
    if slim.prune is None or not slim.prune.by_latency:
        return None
    shape = tuple(config["Global"]["image_shape"])

    def build(slices: Optional[SlicePlan]) -> paddle.nn.Layer:
        return wrapped(_without(slices, config, model), config)

    meter = network_meter(slim.prune, shape, build, tell, slim.deploy.targets[0])
    if slim.quant is not None:
        meter.say(f"Slim.prune.{slim.prune.budget} is asked of the float model: int8 of Slim.quant is not timed")
    return meter


def _without(slices: Optional[SlicePlan], config: ClasConfig, model: paddle.nn.Layer) -> paddle.nn.Layer:
    """A new model with the weights of the dense one, without some channels."""
    fresh = build_untrained(config)
    fresh.set_state_dict(model.state_dict())
    if slices is not None:
        apply_slices(fresh, slices)
    return fresh
