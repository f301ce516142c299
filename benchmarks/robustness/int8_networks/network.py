"""Build a drawn network."""

from __future__ import annotations

from typing import Any, Optional

from ppcls_slim.compat.paddle import paddle

from .draw import Spec

functional = paddle.nn.functional
WIDTH, CLASSES, SIZE = 8, 10, 8


class Network(paddle.nn.Layer):
    """A drawn network on ``[n, 1, 8, 8]``."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self.steps, self.head = spec["steps"], spec["head"]
        self.parts = paddle.nn.LayerDict()
        self._images = paddle.zeros([2, 1, SIZE, SIZE])
        self.eval()
        with paddle.no_grad():
            self.forward(self._images)  # makes the layers, whose shapes depend on what is read
        self.train()

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        """Return scores ``[n, 10]``."""
        maps = [self._conv("first", x, {"kernel": 3, "norm": True, "act": "relu"})]
        read: set[int] = set()
        for number, (kind, places, options) in enumerate(self.steps):
            used = [place % len(maps) for place in places]
            made = getattr(self, f"_{kind}")(str(number), *(maps[place] for place in used), options)
            if made is not None:
                read.update(used)
                maps += made if isinstance(made, list) else [made]
        return self._classify([one for place, one in enumerate(maps) if place not in read])

    def _part(self, name: str, make: Any) -> Any:
        if name not in self.parts:
            self.parts[name] = make()
        return self.parts[name]

    def _conv(self, name: str, x: paddle.Tensor, options: dict[str, Any]) -> paddle.Tensor:
        width, kernel = x.shape[1], options["kernel"]
        depthwise = options.get("depthwise", False)
        stride = options.get("stride", 1) if x.shape[2] > 2 else 1
        out = width if depthwise else WIDTH

        def make() -> paddle.nn.Layer:
            groups = width if depthwise else 1
            bias = None if options.get("bias", not options.get("norm")) else False
            return paddle.nn.Conv2D(width, out, kernel, stride, kernel // 2, groups=groups, bias_attr=bias)

        x = self._part(f"{name}_conv", make)(x)
        if options.get("norm"):
            x = self._part(f"{name}_norm", lambda: paddle.nn.BatchNorm2D(out))(x)
        return _activated(x, options.get("act"))

    def _act(self, name: str, x: paddle.Tensor, kind: str) -> paddle.Tensor:
        return _activated(x, kind)

    def _times(self, name: str, x: paddle.Tensor, options: Any) -> paddle.Tensor:
        kind, constant = options
        if kind == "scalar":
            return x * constant
        if kind == "scale":
            return paddle.scale(x, constant)
        if kind == "division":
            return x / constant
        if kind == "tensor":
            return x * _per_channel(x, constant)
        return x * self._part(name, lambda: _Learned(constant)).value

    def _plus(self, name: str, x: paddle.Tensor, options: Any) -> paddle.Tensor:
        kind, constant = options
        if kind == "scalar":
            return x + constant
        if kind == "reversed":
            return constant - x
        return x + _per_channel(x, constant)

    def _negate(self, name: str, x: paddle.Tensor, options: None) -> paddle.Tensor:
        return -x

    def _add(self, name: str, x: paddle.Tensor, y: paddle.Tensor, act: Optional[str]) -> Optional[paddle.Tensor]:
        return _activated(x + y, act) if x.shape[1:] == y.shape[1:] else None

    def _multiply(self, name: str, x: paddle.Tensor, y: paddle.Tensor, options: None) -> Optional[paddle.Tensor]:
        return x * y if x.shape[1:] == y.shape[1:] else None

    def _subtract(self, name: str, x: paddle.Tensor, y: paddle.Tensor, options: None) -> Optional[paddle.Tensor]:
        return x - y if x.shape[1:] == y.shape[1:] and x is not y else None

    def _concat(self, name: str, *inputs: Any) -> Optional[paddle.Tensor]:
        maps = [one for one in inputs[:-1] if one.shape[2:] == inputs[0].shape[2:]]
        width = sum(one.shape[1] for one in maps)
        return paddle.concat(maps, axis=1) if len(maps) > 1 and width <= 6 * WIDTH else None

    def _pool(self, name: str, x: paddle.Tensor, kind: str) -> Optional[paddle.Tensor]:
        pool = functional.max_pool2d if kind.startswith("max") else functional.avg_pool2d
        if kind.endswith("3"):
            return pool(x, 3, 1, 1)
        return pool(x, 2, 2) if x.shape[2] > 2 else None

    def _squeeze(self, name: str, x: paddle.Tensor, gate: str) -> paddle.Tensor:
        pooled = functional.adaptive_avg_pool2d(x, 1)
        hidden = self._part(f"{name}_down", lambda: paddle.nn.Conv2D(x.shape[1], 4, 1))(pooled)
        gates = self._part(f"{name}_up", lambda: paddle.nn.Conv2D(4, x.shape[1], 1))(functional.relu(hidden))
        return x * _activated(gates, gate)

    def _split(self, name: str, x: paddle.Tensor, parts: int) -> Optional[list[paddle.Tensor]]:
        return paddle.split(x, parts, axis=1) if x.shape[1] % parts == 0 else None

    def _slice(self, name: str, x: paddle.Tensor, space: bool) -> paddle.Tensor:
        half = max(x.shape[2] // 2, 1)
        return x[:, :, :half, :half] if space else x[:, : (x.shape[1] + 1) // 2]

    def _transpose(self, name: str, x: paddle.Tensor, channels: bool) -> paddle.Tensor:
        if not channels:
            return x.transpose([0, 1, 3, 2])
        width = x.shape[1]
        linear = self._part(f"{name}_linear", lambda: paddle.nn.Linear(width, width))
        return linear(x.transpose([0, 2, 3, 1])).transpose([0, 3, 1, 2])

    def _shuffle(self, name: str, x: paddle.Tensor, options: None) -> Optional[paddle.Tensor]:
        width, side = x.shape[1], x.shape[2]
        if width % 2:
            return None
        return x.reshape([-1, 2, width // 2, side, side]).transpose([0, 2, 1, 3, 4]).reshape([-1, width, side, side])

    def _upsample(self, name: str, x: paddle.Tensor, options: None) -> Optional[paddle.Tensor]:
        return functional.interpolate(x, scale_factor=2) if x.shape[2] <= SIZE // 2 else None

    def _residual(self, name: str, x: paddle.Tensor, act: Optional[str]) -> paddle.Tensor:
        out = self._part(f"{name}_conv", lambda: _conv3x3(x.shape[1]))(x)
        return _activated(self._part(f"{name}_norm", lambda: paddle.nn.BatchNorm2D(x.shape[1]))(out) + x, act)

    def _classify(self, maps: list[paddle.Tensor]) -> paddle.Tensor:
        if self.head in ("concat_pool", "conv", "flatten"):
            sides = min(one.shape[2] for one in maps)
            maps = [one if one.shape[2] == sides else functional.adaptive_avg_pool2d(one, sides) for one in maps]
            x = paddle.concat(maps, axis=1) if len(maps) > 1 else maps[0]
            if self.head == "conv":
                x = self._conv("last", x, {"kernel": 1, "act": "relu"})
            if self.head != "flatten":
                x = functional.adaptive_avg_pool2d(x, 1)
            x = paddle.flatten(x, 1)
        else:
            x = paddle.concat([paddle.flatten(functional.adaptive_avg_pool2d(one, 1), 1) for one in maps], axis=1)
        return self._part("classes", lambda: paddle.nn.Linear(x.shape[1], CLASSES))(x)


class _Learned(paddle.nn.Layer):
    def __init__(self, value: float) -> None:
        super().__init__()
        self.value = self.create_parameter([1], default_initializer=paddle.nn.initializer.Constant(value))


def _conv3x3(width: int) -> paddle.nn.Layer:
    return paddle.nn.Conv2D(width, width, 3, 1, 1, bias_attr=False)


def _per_channel(x: paddle.Tensor, constant: float) -> paddle.Tensor:
    """A constant that differs from channel to channel, ``[1, C, 1, 1]``."""
    width = x.shape[1]
    return constant * (1 + paddle.arange(width, dtype="float32") / width).reshape([1, width, 1, 1])


def _activated(x: paddle.Tensor, act: Optional[str]) -> paddle.Tensor:
    return x if act is None else getattr(functional, act)(x)
