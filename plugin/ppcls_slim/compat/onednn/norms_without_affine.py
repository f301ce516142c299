"""oneDNN's ``batch_norm`` reads scale and shift without looking whether they are there.

Symptom: a segmentation fault when an exported AdaFace is run, whose batch normalizations learn neither.
Pass: none; the kernel of ``batch_norm``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the kernel accepts a ``batch_norm`` without scale and shift.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ..paddle import paddle

_NORMS = (paddle.nn.layer.norm._BatchNormBase, paddle.nn.BatchNorm)


@contextmanager
def affine_norms(model: paddle.nn.Layer) -> Iterator[None]:
    """Give batch normalizations that learn no scale or no shift ones and zeros, for the length of a ``with`` block.

    Args:
        model: about to be exported; afterwards it has the tensors that it had.
    """
    added = []
    try:
        for layer in model.sublayers(include_self=True):
            if not isinstance(layer, _NORMS):
                continue
            for name, value in (("weight", 1.0), ("bias", 0.0)):
                if getattr(layer, name) is None:
                    # Paddle would count anew here if the model was built under a guard, and give a name twice.
                    unique = paddle.utils.unique_name.generate(f"{layer._mean.name}.{name}")
                    constant = paddle.ParamAttr(unique, paddle.nn.initializer.Constant(value))
                    setattr(layer, name, layer.create_parameter(layer._mean.shape, constant))
                    added.append((layer, name))
        yield
    finally:
        for layer, name in added:
            delattr(layer, name)
            setattr(layer, name, None)
