"""Networks of two to four layers that show a fault of Paddle's int8 passes each."""

from __future__ import annotations

from ppcls_slim.compat.paddle import paddle

functional = paddle.nn.functional


class Excited(paddle.nn.Layer):
    """A squeeze-and-excitation block between two convolutions, as in ESNet."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3, padding=1)
        self.squeeze = paddle.nn.Conv2D(8, 8, 1)
        self.last = paddle.nn.Conv2D(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        x = x * self.squeeze(functional.adaptive_avg_pool2d(x, 1))
        return functional.adaptive_avg_pool2d(self.last(x), 1).flatten(1)


class Halved(paddle.nn.Layer):
    """A residual block behind a convolution, then averages of 2x2, as in the shortcuts of ResNet_vd."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3, padding=1)
        self.inner = paddle.nn.Conv2D(8, 8, 3, padding=1)
        self.last = paddle.nn.Conv2D(8, 8, 1)

    def forward(self, x):
        x = functional.relu(self.first(x))
        x = functional.relu(x + self.inner(x))
        return functional.adaptive_avg_pool2d(self.last(functional.avg_pool2d(x, 2, 2)), 1).flatten(1)


class Shifted(paddle.nn.Layer):
    """Gates that are small once 0.5 is subtracted, and a split of them, as in MicroNet."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3, padding=1)
        self.squeeze = paddle.nn.Linear(8, 16, paddle.nn.initializer.Normal(std=0.001))
        self.last = paddle.nn.Conv2D(8, 8, 3, padding=1)

    def forward(self, x):
        x = self.first(x)
        weights = functional.hardsigmoid(self.squeeze(functional.adaptive_avg_pool2d(x, 1).flatten(1)))
        one, other = paddle.split((weights.reshape([-1, 16, 1, 1]) - 0.5) * 4, 2, axis=1)
        return self.last(x * (one + 1) + x * other).flatten(1)


class Appended(paddle.nn.Layer):
    """Positions concatenated with an empty tensor, as in SVTR, and batch normalization without scale and shift."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 4, stride=4)
        self.places = self.create_parameter([1, 64, 8])
        self.last = paddle.nn.Linear(8, 8)
        self.norm = paddle.nn.BatchNorm1D(8, weight_attr=False, bias_attr=False)

    def forward(self, x):
        x = self.first(x).flatten(2).transpose([0, 2, 1])
        x = x + paddle.concat([self.places[:, 0:0], self.places * 2], axis=1)
        return self.norm(self.last(functional.gelu(x)).transpose([0, 2, 1])).flatten(1)


class Windowed(paddle.nn.Layer):
    """Patches that are padded as ``[B, H, W, C]``, and windows of them, as in SwinTransformer."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 4, stride=4)
        self.last = paddle.nn.Linear(8, 8)

    def forward(self, x):
        x = self.first(x).flatten(2).transpose([0, 2, 1]).reshape([-1, 8, 8, 8])
        x = functional.pad(x, [0, 0, 0, 6, 0, 6, 0, 0])
        return self.last(x.reshape([-1, 2, 7, 2, 7, 8]).transpose([0, 1, 3, 2, 4, 5])).flatten(1)


class Lowered(paddle.nn.Layer):
    """A residual addition without a ReLU behind it, as in the first block of MixNet."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 3, padding=1, bias_attr=False)
        self.branch = paddle.nn.Sequential(
            paddle.nn.Conv2D(8, 8, 3, padding=1, bias_attr=False),
            paddle.nn.ReLU(),
            paddle.nn.Conv2D(8, 8, 1, bias_attr=False),
            paddle.nn.BatchNorm2D(8),
        )
        self.last = paddle.nn.Conv2D(8, 8, 1)

    def forward(self, x):
        x = self.pooled(functional.relu(self.first(x)))
        return self.last(self.branch(x) + x).flatten(1)

    def pooled(self, x):
        return x


class LoweredPool(Lowered):
    """The shortcut is pooled, which keeps scale and sign."""

    def pooled(self, x):
        return functional.max_pool2d(x, 2, 2)


class Placed(paddle.nn.Layer):
    """Tokens convolved as an image, as in the positional encoding of Twins-PCPVT."""

    def __init__(self):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 4, stride=4)
        self.last = paddle.nn.Conv2D(8, 8, 3, padding=1, groups=8)

    def forward(self, x):
        x = self.first(x).flatten(2).transpose([0, 2, 1])
        x = x + functional.gelu(x)
        return self.last(x.transpose([0, 2, 1]).reshape([x.shape[0], 8, 8, 8])).flatten(1)


class Spread(paddle.nn.Layer):
    """A linear layer whose columns are of different size, square or not; ResNet's classifier is one."""

    def __init__(self, outputs):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, 8, 4, stride=4)
        self.last = paddle.nn.Linear(8, outputs)
        self.last.weight.set_value(self.last.weight * paddle.linspace(1, 20, outputs))

    def forward(self, x):
        return self.last(self.first(x).flatten(2).transpose([0, 2, 1])).flatten(1)


class Twice(Spread):
    """The same, called twice."""

    def __init__(self):
        super().__init__(8)

    def forward(self, x):
        x = functional.gelu(self.last(self.first(x).flatten(2).transpose([0, 2, 1])))
        return self.last(x).flatten(1)
