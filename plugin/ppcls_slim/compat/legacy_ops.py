"""Functions that Paddle 3.3 can no longer trace into legacy IR, which the export to int8 still needs.

Paddle 3.3.x moved 57 functions (``paddle.multiply``, ``matmul``, ``sum``, ``functional.sigmoid``, ...) to C++ and
dropped the half of them that wrote legacy IR. Here the operators are appended as Paddle 2.6.2 did.

Symptom: under ``OldIrGuard`` they stop with ``multiply(): argument (position 1) must be Value, but got Variable``: no
squeeze-and-excitation block and no attention can be exported to int8.
Versions: Paddle 3.3.1.
Delete when: int8 models are exported as PIR; PaddleSlim's QAT is exported through legacy IR only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Optional

from ..common.errors import SlimError
from .legacy_op_writers import WRITERS
from .paddle import paddle
from .patching import replaced


@contextmanager
def traced_into_legacy_ir() -> Iterator[None]:
    """Let the functions write legacy IR for the length of a ``with`` block; nothing changes on Paddle 2.6.

    Raises:
        SlimError: the traced code calls one of the 57 that :mod:`.legacy_op_writers` lacks.
    """
    module = getattr(paddle.base.dygraph, "generated_tensor_methods_patch", None)
    if module is None:
        yield
        return
    operators = _Operators(module._C_ops)
    methods = {name: operators.method(name) for name, _ in module.methods_map}
    with replaced(module, _C_ops=operators), replaced(paddle.static.Variable, **methods):
        try:
            yield
        except TypeError:
            if operators.missing is None:
                raise
            raise SlimError(
                f"Slim.quant: the model calls {operators.missing}, which Paddle {paddle.__version__} cannot write "
                "into the program format of int8 files; Paddle 2.6.2 can"
            ) from None


class _Operators:
    """Stands where the moved functions look for ``_C_ops``: variables of legacy IR go to ``WRITERS``."""

    def __init__(self, ours: Any):
        self._ours = ours
        self.missing: Optional[str] = None

    def __getattr__(self, name: str) -> Callable[..., Any]:
        compiled = getattr(self._ours, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if not any(isinstance(one, paddle.static.Variable) for one in (*args, *kwargs.values())):
                return compiled(*args, **kwargs)
            if name not in WRITERS:
                self.missing = f"paddle.{name}"
                raise TypeError(self.missing)
            return WRITERS[name](*args, **kwargs)

        return call

    def method(self, name: str) -> Callable[..., Any]:
        """``x.name(...)``: the compiled functions that stand there now are not given their ``x``."""

        @paddle.jit.not_to_static  # or tracing would translate it, too
        def call(x: Any, *args: Any, **kwargs: Any) -> Any:
            return getattr(self, name)(x, *args, **kwargs)

        return call


def round_positive(x: paddle.Tensor) -> paddle.Tensor:
    """Round values that are not negative, halves up, wherever it is called.

    Paddle 3.3.1's ``round`` and ``floor`` refuse variables of legacy IR outside :func:`traced_into_legacy_ir`, too;
    ``trunc`` takes them.
    """
    return paddle.round(x) if paddle.in_dynamic_mode() else paddle.trunc(x + 0.5)
