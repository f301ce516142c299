"""Draw small networks of the operations that oneDNN's int8 passes look at.

A network is data, so that it can be printed, run again and made smaller: a list of steps, each of which reads feature
maps made before it and adds its own. Places are taken modulo the number of maps there are, and what does not fit (an
addition of different shapes) is left out, so that every list of steps is a network. What no step reads goes into the
classifier.
"""

from __future__ import annotations

import json
import random
from typing import Any

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st

Spec = dict[str, Any]
"""``seed``, ``method`` (of quantization), ``head`` and ``steps``: ``[kind, places, options]`` each; ``train``:
number of training steps, if it is given."""

ACTIVATIONS = ("relu", "relu6", "hardswish", "hardsigmoid", "leaky_relu", "sigmoid", "swish", "tanh", "gelu")
CONSTANTS = (-3.0, -1.0, -0.5, 0.1, 0.5, 2.0, 3.0)
PRODUCTS = ("scalar", "scale", "tensor", "division", "learned")
HEADS = ("concat_pool", "pool_concat", "conv", "flatten")
ONE, TWO = st.tuples(st.integers(0, 9)), st.tuples(st.integers(0, 9), st.integers(0, 9))


def networks(largest: int = 9) -> st.SearchStrategy[Spec]:
    """Networks of up to so many steps behind a first convolution."""
    constants, products = st.sampled_from(CONSTANTS), st.sampled_from(PRODUCTS)
    conv = st.fixed_dictionaries(
        {
            "kernel": st.sampled_from((1, 3)),
            "depthwise": st.booleans(),
            "norm": st.booleans(),
            "bias": st.booleans(),
            "stride": st.sampled_from((1, 1, 1, 2)),
            "act": st.sampled_from((None, "relu", "relu", "relu", *ACTIVATIONS)),
        }
    )
    kinds = (
        _step("conv", ONE, conv),
        _step("conv", ONE, conv),
        _step("act", ONE, st.sampled_from(ACTIVATIONS)),
        _step("times", ONE, st.tuples(products, constants)),
        _step("plus", ONE, st.tuples(st.sampled_from(("scalar", "reversed", "tensor")), constants)),
        _step("negate", ONE, st.none()),
        _step("add", TWO, st.sampled_from((None, "relu"))),
        _step("multiply", TWO, st.none()),
        _step("subtract", TWO, st.none()),
        _step("concat", st.lists(st.integers(0, 9), min_size=2, max_size=3).map(tuple), st.none()),
        _step("pool", ONE, st.sampled_from(("max2", "avg2", "max3", "avg3"))),
        _step("squeeze", ONE, st.sampled_from(("sigmoid", "hardsigmoid"))),
        _step("split", ONE, st.integers(2, 3)),
        _step("slice", ONE, st.booleans()),
        _step("transpose", ONE, st.booleans()),
        _step("shuffle", ONE, st.none()),
        _step("upsample", ONE, st.none()),
        _step("residual", ONE, st.sampled_from((None, "relu", "hardswish"))),
    )
    return st.fixed_dictionaries(
        {
            "seed": st.integers(0, 2**16),
            "method": st.sampled_from(("qat", "pact")),
            "head": st.sampled_from(HEADS),
            "steps": st.lists(st.one_of(*kinds), min_size=3, max_size=largest).map(list),
        }
    )


def _step(kind: str, places: st.SearchStrategy[Any], options: st.SearchStrategy[Any]) -> st.SearchStrategy[list[Any]]:
    return st.tuples(st.just(kind), places, options).map(list)


def draw(seed: int, count: int) -> list[Spec]:
    """Draw so many networks; the same ones for the same seed."""
    found: dict[str, Spec] = {}
    fresh = random.Random(seed)
    while len(found) < count:
        # Few at a time: later examples of one run are mutations of each other, and the first is the smallest network.
        for spec in _examples(fresh.getrandbits(32), 4)[1:]:
            found.setdefault(json.dumps(spec, sort_keys=True), spec)
    return [json.loads(text) for text in found][:count]


def _examples(seed: int, count: int) -> list[Spec]:
    found: list[Spec] = []

    @seeded(seed)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(networks())
    def collect(spec: Spec) -> None:
        found.append(spec)

    collect()
    return found
