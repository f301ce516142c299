"""Trace a model's ``forward`` into a program without ``paddle.jit``: no computing, and parameters of any shape.

Uses what ``paddle.jit.to_static`` does behind its public functions, in Paddle 2.6.2 (legacy IR) and 3.3.1 (PIR).
"""

from __future__ import annotations

import contextlib
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from .paddle import paddle
from .patching import replaced

ValueOf = Callable[[Any, paddle.Tensor], Any]
"""(program, parameter or buffer) -> the variable of the program that stands for it."""


@contextlib.contextmanager
def tracing_legacy_ir(program: paddle.static.Program) -> Iterator[None]:
    """Write what is called into a program of legacy IR.

    A parameter or buffer is looked up by name: declare a variable of this name first.
    """
    from paddle.base import framework  # start-up time, and private: only tracing needs it

    with (
        paddle.static.program_guard(program, paddle.static.Program()),
        _to_static(),
        framework._stride_in_no_check_dy2st_diff(),
    ):
        yield


@contextlib.contextmanager
def tracing_pir(program: paddle.static.Program, value_of: ValueOf) -> Iterator[None]:
    """Write what is called into a program of PIR.

    Args:
        program: to write into.
        value_of: is asked for every parameter, buffer and constant that is met.
    """
    # Paddle 2.6 does not have these.
    from paddle.jit.dy2static.parameter_recorder import _global_parameter_recorder as recorder
    from paddle.pir.core import _convert_into_value, static_op_arg_cast_guard

    with (
        paddle.static.program_guard(program, paddle.static.Program()),
        _to_static(),
        static_op_arg_cast_guard(_convert_into_value),
    ):
        recorder.get = value_of  # on the object; the method of its class comes back when it is removed
        try:
            yield
        finally:
            vars(recorder).pop("get", None)


def pir_data(name: str, shape: Sequence[int], dtype: Any) -> Any:
    """Add an input to the program of PIR that is being traced.

    Args:
        name: is the attribute ``name`` of the operation ``pd_op.data``.
        shape: of any sizes.
        dtype: name or type of Paddle.
    """
    # Paddle 2.6 does not have the second of these.
    from paddle.base import core
    from paddle.pir.core import convert_np_dtype_to_dtype_

    if isinstance(dtype, str):
        dtype = convert_np_dtype_to_dtype_(dtype)
    return paddle._pir_ops.data(name, list(shape), dtype, core.Place())


@contextlib.contextmanager
def watch_layer_calls(
    before: Callable[[paddle.nn.Layer], None], after: Callable[[paddle.nn.Layer], None]
) -> Iterator[None]:
    """Call ``before(layer)`` and ``after(layer)`` around every layer's forward pass.

    ``after`` is not called where the forward pass raises: the last ``before`` then tells where.
    """
    call = paddle.nn.Layer.__call__

    def watched(layer: paddle.nn.Layer, *inputs: Any, **kwargs: Any) -> Any:
        before(layer)
        returned = call(layer, *inputs, **kwargs)
        after(layer)
        return returned

    with replaced(paddle.nn.Layer, __call__=watched):
        yield


@contextlib.contextmanager
def without_annotations() -> Iterator[None]:
    """Do not note where every operation comes from: the Python stack, and on Paddle 3 the path of layers.

    That is nine tenths of the time for HRNet; the second of the two grows with the square of the length.
    """
    from paddle.nn.layer import layers  # start-up time, and private: only tracing needs it

    with (
        replaced(traceback, extract_stack=lambda *args, **kwargs: []),
        replaced(layers, name_struct=lambda *args, **kwargs: contextlib.nullcontext()),  # Paddle 3
    ):
        yield


def _to_static() -> Any:
    """Let layers hand out variables of the program for their parameters; renamed in Paddle 3.0."""
    base = paddle.base.dygraph.base
    guard = getattr(base, "to_static_mode_guard", None) or base._to_static_mode_guard_
    return guard(is_to_static=True)
