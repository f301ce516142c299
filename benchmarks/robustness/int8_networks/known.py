"""Networks that parted, made small, one or two for each fault: what was found stays found."""

from __future__ import annotations

from typing import Any, Optional

from .draw import Spec


def _conv(place: int, act: Optional[str] = "relu", **options: Any) -> list[Any]:
    return ["conv", [place], {"kernel": 3, "norm": True, "act": act, **options}]


def _network(*steps: list[Any], **keys: Any) -> Spec:
    return {"seed": 1, "method": "qat", "head": "concat_pool", "train": 40, "steps": list(steps), **keys}


KNOWN: dict[str, Spec] = {
    "times 0.5": _network(["times", [0], ["scalar", 0.5]], _conv(1)),
    "divided by a third": _network(["times", [0], ["division", 1 / 3]], _conv(1), method="pact"),
    "products and sums of every kind": _network(
        *(["times", [0], ["learned", 3.0]], ["times", [1], ["tensor", -0.5]], ["negate", [2], None], _conv(3)),
        *(["plus", [4], ["reversed", 2.0]], _conv(5), ["times", [6], ["scale", 0.1]], _conv(7)),
    ),
    "relu(hardsigmoid)": _network(_conv(0), _conv(0, "hardsigmoid"), ["act", [2], "relu"], ["concat", [3, 1], None]),
    "concatenated signs": _network(
        _conv(0, None), ["act", [1], "relu"], ["negate", [1], None], ["concat", [3, 0, 2], None], _conv(4)
    ),
    "difference of unsigned": _network(
        *(["transpose", [0], False], ["subtract", [1, 0], None], ["squeeze", [0], "hardsigmoid"]), head="conv"
    ),
    "crelu": _network(
        _conv(0, None),
        *(["act", [1], "relu"], ["negate", [1], None], ["act", [3], "relu"], ["negate", [4], None]),
        ["concat", [2, 5], None],
    ),
}
"""What it does -> the network."""
