"""What a drawn network may do between its convolutions: layers that are made of a width and a number.

Each has ``out``, the number of its output channels; one that does not fit a width raises ``ValueError``.
"""
# ruff: noqa: D102 - forward() does what the class says

from __future__ import annotations

import math

from ppcls_slim.compat.paddle import paddle

nn, F = paddle.nn, paddle.nn.functional
Tensor = paddle.Tensor


def _require(fits: bool) -> None:
    if not fits:
        raise ValueError("does not fit this width")


class Step(nn.Layer):
    """A layer that keeps the number of channels unless it says otherwise.

    Args:
        width: number of input channels.
        number: chooses among the forms of the step.
    """

    def __init__(self, width: int, number: int) -> None:
        super().__init__()
        self.width, self.out, self.number = width, width, number


class Excite(Step):
    """Squeeze and excitation: a gate for each channel, from all of them; the size is measured or an attribute."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        self.down, self.up = nn.Linear(width, 3), nn.Linear(3, width)

    def forward(self, x: Tensor) -> Tensor:
        gate = F.sigmoid(self.up(F.relu(self.down(F.adaptive_avg_pool2d(x, 1).flatten(1)))))
        return x * gate.reshape([x.shape[0], x.shape[1] if self.number % 2 else self.width, 1, 1])


class Pick(Step):
    """Channels in another order, by an index buffer."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        self.positions = paddle.to_tensor([(place + number) % width for place in range(width)])

    def forward(self, x: Tensor) -> Tensor:
        return paddle.index_select(x, self.positions, axis=1)


class Counted(Step):
    """Something computed with a number that depends on how many channels there are."""

    def forward(self, x: Tensor) -> Tensor:
        ways = (
            lambda: x / x.shape[1] ** 0.5,
            lambda: x * paddle.full([1], 1 / x.shape[1], x.dtype),
            lambda: x / paddle.shape(x)[1].astype(x.dtype),
            lambda: x + 0.01 * x.shape[1],
            lambda: F.leaky_relu(x, 1 / x.shape[1]),
            lambda: paddle.clip(x, -0.1 * x.shape[1], 0.1 * x.shape[1]),
            lambda: x * paddle.to_tensor(x.shape[1] ** -0.5, dtype=x.dtype),
            lambda: x * self.width**-0.5,
            lambda: x.reshape([0, self.width, -1]).reshape(x.shape) * self.width**-0.5,
            lambda: x / paddle.numel(x).astype(x.dtype) * 64,
            lambda: x.sum(axis=1, keepdim=True) / x.shape[1] + x,
        )
        return ways[self.number % len(ways)]()


class Part(Step):
    """A slice of the channels, by a literal or by a measured size."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        _require(width > 4)
        half = width // 2
        self.out = (half, width - half, width - 1, 4, (width + 1) // 2)[number % 5]

    def forward(self, x: Tensor) -> Tensor:
        half = x.shape[1] // 2
        taken = (slice(half), slice(half, None), slice(1, None), slice(4), slice(None, None, 2))[self.number % 5]
        return x[:, taken]


class Move(Step):
    """Channels or pixels change places."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        _require(number % 6 != 0 or width % 2 == 0)

    def forward(self, x: Tensor) -> Tensor:
        ways = (
            lambda: F.channel_shuffle(x, 2),
            lambda: F.pixel_shuffle(F.pixel_unshuffle(x, 2), 2),
            lambda: paddle.flip(x, [1]),
            lambda: paddle.flip(x, [2, 3]),
            lambda: paddle.roll(x, 1, axis=3),
            lambda: paddle.roll(x, 1, axis=1),
        )
        return ways[self.number % 6]()


class PixelShuffle(Step):
    """Four channels become one of twice the height and width, which is averaged back."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        _require(width % 4 == 0)
        self.out = width // 4

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pixel_shuffle(x, 2), 2)


class Transposed(Step):
    """A transposed convolution, grouped or not."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        groups = math.gcd(width, (1, 2, 4, width)[number % 4])
        self.out = groups * max(1, 8 // groups)
        self.conv = nn.Conv2DTranspose(width, self.out, 3, padding=1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Tied(Step):
    """One weight in two places: twice the same way, or forwards and transposed."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        self.conv, self.linear = nn.Conv2D(width, width, 1), nn.Linear(width, 5)

    def forward(self, x: Tensor) -> Tensor:
        way = self.number % 4
        if way == 0:
            return self.conv(x) + self.conv(F.avg_pool2d(x, 3, 1, padding=1))
        if way == 1:
            return F.conv2d_transpose(F.relu(self.conv(x)), self.conv.weight)
        if way == 2:
            return F.relu(self.conv(x)) + F.conv2d(x, self.conv.weight)
        gate = F.relu(self.linear(F.adaptive_avg_pool2d(x, 1).flatten(1)))
        return x + paddle.matmul(gate, self.linear.weight, transpose_y=True).unsqueeze([2, 3])


class Normalized(Step):
    """A convolution whose weight is computed before it runs."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        conv = nn.Conv2D(width, width, 1)
        self.conv = nn.utils.weight_norm(conv) if number % 2 else nn.utils.spectral_norm(conv)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv(x)


class Attention(Step):
    """One head over the pixels, its scale from the constructor or measured."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        self.qkv, self.scale, self.out = nn.Conv2D(width, 12, 1), width**-0.5, 4

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.qkv(x).flatten(2).split(3, axis=1)
        scale = self.scale if self.number % 2 else q.shape[1] ** -0.5
        weights = F.softmax(paddle.matmul(q, k, transpose_x=True) * scale)
        return paddle.matmul(v, weights, transpose_y=True).reshape([x.shape[0], -1, *x.shape[2:]])


class Product(Step):
    """Products, sums and stacks of feature maps with themselves, some of which no rule follows."""

    def forward(self, x: Tensor) -> Tensor:
        ways = (
            lambda: paddle.einsum("bchw,bchw->bc", x, x).unsqueeze([2, 3]) * x,
            lambda: paddle.stack([x, F.relu(x)], axis=1).sum(axis=1),
            lambda: x * F.sigmoid(x.sum(axis=1, keepdim=True)),
            lambda: x * F.sigmoid(x.mean(axis=1, keepdim=True)),
            lambda: x + x.mean(axis=[2, 3], keepdim=True).expand([-1, -1, *x.shape[2:]]),
            lambda: paddle.maximum(x, F.avg_pool2d(x, 3, 1, padding=1)) - 1,
            lambda: F.softmax(x, axis=1),
            lambda: F.normalize(x, axis=1),
        )
        return ways[self.number % len(ways)]()


class ChannelsLast(Step):
    """A pointwise convolution written as a linear layer, with or without a normalization over channels."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        self.out = 4 * (1 + number % 3)
        self.linear = nn.Linear(width, self.out)
        self.norm = nn.LayerNorm(width) if number % 2 else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(x.transpose([0, 2, 3, 1]))).transpose([0, 3, 1, 2])


class Branches(Step):
    """Python code that decides by a number of channels."""

    def __init__(self, width: int, number: int) -> None:
        super().__init__(width, number)
        self.conv = nn.Conv2D(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        wide = x.shape[1] >= (self.width if self.number % 2 else 3)
        return self.conv(x) if wide else F.relu(x)


STEPS: dict[str, type[Step]] = {
    "excite": Excite,
    "pick": Pick,
    "counted": Counted,
    "part": Part,
    "move": Move,
    "pixel shuffle": PixelShuffle,
    "transposed": Transposed,
    "tied": Tied,
    "normalized": Normalized,
    "attention": Attention,
    "product": Product,
    "channels last": ChannelsLast,
    "branches": Branches,
}
