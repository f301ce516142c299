"""Whatever is built from the usual pieces: the analysis is right about it."""

from __future__ import annotations

import math

import numpy as np
import pytest

paddle = pytest.importorskip("paddle")

from hypothesis import HealthCheck, given, settings  # noqa: E402
from hypothesis import strategies as st  # noqa: E402
from paddle import nn  # noqa: E402
from paddle.nn import functional as F  # noqa: E402

from ppcls_slim.prune.dependency import analyse  # noqa: E402
from ppcls_slim.verify.equivalence import check_equivalence, some_channels  # noqa: E402

STEPS = ["conv", "grouped", "depthwise", "norm", "relu", "sigmoid gate", "excite", "twice", "head", "add", "concat",
         "split", "shuffle", "pick", "pool"]  # fmt: skip


class Excite(nn.Layer):
    """Squeeze and excitation: a gate for each channel, from all of them."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.down, self.up = nn.Linear(width, 3), nn.Linear(3, width)

    def forward(self, x):
        gate = F.sigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1).flatten(1)))))
        return x * gate.reshape([x.shape[0], x.shape[1], 1, 1])


class Pick(nn.Layer):
    """Channels in another order."""

    def __init__(self, width: int, shift: int) -> None:
        super().__init__()
        self.positions = paddle.to_tensor([(place + shift) % width for place in range(width)])

    def forward(self, x):
        return paddle.index_select(x, self.positions, axis=1)


class Drawn(nn.Layer):
    """A chain of steps; each may reach back to any earlier feature map of its width. Heads are further outputs."""

    def __init__(self, plan: list[tuple[str, int]]) -> None:
        super().__init__()
        self.plan = []
        self.parts = nn.LayerList([nn.Conv2D(3, 8, 3, padding=1)])
        widths = [8]
        for step, number in plan:
            width = widths[-1]
            if (step in ("split", "shuffle") and width % 2) or (step == "depthwise" and width > 16):
                continue
            if step == "add":  # chosen here: code that compares sizes while it runs would choose anew
                same = [place for place, other in enumerate(widths) if other == width]
                number = same[number % len(same)]
            self.plan.append((step, number))
            if step == "conv":
                layer, width = nn.Conv2D(width, 4 * (1 + number % 3), 1), 4 * (1 + number % 3)
            elif step == "grouped":
                layer = nn.Conv2D(width, width, 3, padding=1, groups=math.gcd(width, 2 + number % 3))
            elif step == "depthwise":
                layer = nn.Conv2D(width, 2 * width, 3, padding=1, groups=width)
                width *= 2
            elif step == "norm":
                layer = nn.BatchNorm2D(width)
            elif step in ("sigmoid gate", "twice"):
                layer = nn.Conv2D(width, width, 1)
            elif step == "head":
                layer = nn.Conv2D(width, 2, 1)
            elif step == "excite":
                layer = Excite(width)
            elif step == "pick":
                layer = Pick(width, number)
            else:
                layer = nn.Identity()
                if step == "concat":
                    width += widths[number % len(widths)]
                elif step == "split":
                    width //= 2
            self.parts.append(layer)
            widths.append(width)
        self.fc = nn.Linear(widths[-1], 3)

    def forward(self, x):
        x = self.parts[0](x)
        past, heads = [x], []
        for (step, number), layer in zip(self.plan, self.parts[1:]):
            if step == "sigmoid gate":
                x = x * F.sigmoid(layer(F.adaptive_avg_pool2d(x, 1)))
            elif step == "twice":
                x = layer(F.relu(layer(x)))
            elif step == "head":
                heads.append(layer(x))
            else:
                x = layer(x)
            if step == "relu":
                x = F.relu(x)
            elif step == "add":
                x = x + past[number]
            elif step == "concat":
                x = paddle.concat([x, past[number % len(past)]], axis=1)
            elif step == "split":
                x = paddle.split(x, 2, axis=1)[number % 2]
            elif step == "shuffle":
                n, c, h, w = x.shape
                x = x.reshape([n, 2, c // 2, h, w]).transpose([0, 2, 1, 3, 4]).reshape([n, c, h, w])
            elif step == "pool":
                x = F.avg_pool2d(x, 3, stride=1, padding=1)
            past.append(x)
        return [self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1)), *heads]


plans = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 11)), min_size=1, max_size=7)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(plan=plans, seed=st.integers(0, 3))
def test_removing_is_masking(plan, seed):
    model = Drawn(plan)
    grouping = analyse(model, [3, 6, 6])
    images = np.random.default_rng(seed).normal(size=(2, 3, 6, 6)).astype("float32")
    found = check_equivalence(model, grouping, some_channels(grouping, 0.4, seed), images)
    heads = [f"parts.{i + 1}" for i, (step, _) in enumerate(model.plan) if step == "head"]
    assert found.outputs == 1 + len(heads)
    assert {grouping.frozen[name] for name in heads} <= {"an output of the model"}
    assert found.error < 1e-5
    pruned = {f"{member.param}:{member.axis}" for group in grouping.groups for member in group.members}
    for i, part in enumerate(model.parts):  # every convolution is in a group or has a reason
        if isinstance(part, nn.Conv2D):
            assert (f"parts.{i}.weight:0" in pruned) != (f"parts.{i}" in grouping.frozen)
