"""A network and data of the tests of the API."""

from __future__ import annotations

from ppcls_slim.compat.paddle import paddle

SHAPE = [3, 12, 12]


class Small(paddle.nn.Layer):
    """Two blocks and a classifier."""

    def __init__(self, width: int = 8):
        super().__init__()
        self.first = paddle.nn.Conv2D(3, width, 3, bias_attr=False)
        self.norm = paddle.nn.BatchNorm2D(width)
        self.second = paddle.nn.Conv2D(width, 8, 3)
        self.head = paddle.nn.Linear(8, 4)

    def forward(self, images):
        features = paddle.nn.functional.relu(self.norm(self.first(images)))
        return self.head(paddle.nn.functional.relu(self.second(features)).mean([2, 3]))


def small(width: int = 8, seed: int = 0) -> Small:
    paddle.seed(seed)
    return Small(width)


def batches(count: int = 2, labels: bool = True) -> list:
    paddle.seed(1)
    images = [paddle.rand([8, *SHAPE]) for _ in range(count)]
    return [(one, paddle.randint(0, 4, [8])) if labels else one for one in images]
