"""Networks that are drawn at random: a chain of steps, each of which may reach back to an earlier feature map."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from benchmarks.pruning.steps import STEPS
from ppcls_slim.compat.paddle import paddle

nn, F = paddle.nn, paddle.nn.functional

Plan = Sequence[tuple[str, int]]
"""Steps, each with a number that chooses among its forms."""

INLINE = ("conv", "grouped", "depthwise", "norm", "relu", "sigmoid gate", "twice", "head", "add", "concat", "split",
          "shuffle", "pool")  # fmt: skip
"""Steps that the network's own code does; the others are layers of their own."""
NAMES = (*INLINE, *STEPS)


class Drawn(nn.Layer):
    """A convolution, the steps that fit, and a classifier. Heads are further outputs.

    Attributes:
        plan: the steps that fit.
    """

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        self.plan: list[tuple[str, int]] = []
        self.parts = nn.LayerList([nn.Conv2D(3, 8, 3, padding=1)])
        widths = [8]
        for step, number in plan:
            if step == "add":  # chosen here: code that compares sizes while it runs would choose anew
                same = [place for place, other in enumerate(widths) if other == widths[-1]]
                number = same[number % len(same)]
            try:
                layer, width = _layer(step, number, widths)
            except ValueError:
                continue
            self.plan.append((step, number))
            self.parts.append(layer)
            widths.append(width)
        self.fc = nn.Linear(widths[-1], 3)

    def forward(self, x: paddle.Tensor) -> list[paddle.Tensor]:
        """Return the logits, and the results of the heads."""
        past, heads = [self.parts[0](x)], []
        for (step, number), layer in zip(self.plan, self.parts[1:]):
            if step == "head":
                heads.append(layer(past[-1]))
                past.append(past[-1])
            else:
                past.append(_result(step, number, layer, past))
        return [self.fc(F.adaptive_avg_pool2d(past[-1], 1).flatten(1)), *heads]

    def heads(self) -> list[str]:
        """Names of the convolutions whose results are outputs."""
        return [f"parts.{place + 1}" for place, (step, _) in enumerate(self.plan) if step == "head"]


def _result(step: str, number: int, layer: Any, past: list[paddle.Tensor]) -> paddle.Tensor:
    """Return what a step makes of the feature maps before it."""
    x = past[-1]
    n, c, h, w = x.shape
    inline = {
        "sigmoid gate": lambda: x * F.sigmoid(layer(F.adaptive_avg_pool2d(x, 1))),
        "twice": lambda: layer(F.relu(layer(x))),
        "relu": lambda: F.relu(x),
        "add": lambda: x + past[number],
        "concat": lambda: paddle.concat([x, past[number % len(past)]], axis=1),
        "split": lambda: paddle.split(x, 2, axis=1)[number % 2],
        "shuffle": lambda: x.reshape([n, 2, c // 2, h, w]).transpose([0, 2, 1, 3, 4]).reshape([n, c, h, w]),
        "pool": lambda: F.avg_pool2d(x, 3, stride=1, padding=1),
    }
    return inline[step]() if step in inline else layer(x)


def _layer(step: str, number: int, widths: list[int]) -> tuple[Any, int]:
    """Return the layer of a step and the number of channels behind it.

    Raises:
        ValueError: the step does not fit.
    """
    width = widths[-1]
    if step in STEPS:
        layer = STEPS[step](width, number)
        return layer, layer.out
    if (step in ("split", "shuffle") and width % 2) or (step == "depthwise" and width > 16):
        raise ValueError(step)
    new = 4 * (1 + number % 3)
    made = {
        "conv": lambda: (nn.Conv2D(width, new, 1), new),
        "grouped": lambda: (nn.Conv2D(width, width, 3, padding=1, groups=math.gcd(width, 2 + number % 3)), width),
        "depthwise": lambda: (nn.Conv2D(width, 2 * width, 3, padding=1, groups=width), 2 * width),
        "norm": lambda: (nn.BatchNorm2D(width), width),
        "sigmoid gate": lambda: (nn.Conv2D(width, width, 1), width),
        "twice": lambda: (nn.Conv2D(width, width, 1), width),
        "head": lambda: (nn.Conv2D(width, 2, 1), width),
        "concat": lambda: (nn.Identity(), width + widths[number % len(widths)]),
        "split": lambda: (nn.Identity(), width // 2),
    }
    return made[step]() if step in made else (nn.Identity(), width)
