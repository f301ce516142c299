"""A function of Paddle that ``paddleslim.core.dygraph`` calls has another name.

Symptom: ``module 'paddle.base.dygraph.base' has no attribute '_to_static_mode_guard_'``.
Versions: PaddleSlim 2.6.0 with Paddle 3.0 or newer.
Delete when: PaddleSlim is not used any more; it has no newer release.
"""

from __future__ import annotations

from ...paddle import paddle


def patch() -> None:
    """Give the old name to the function."""
    base = paddle.base.dygraph.base
    if not hasattr(base, "_to_static_mode_guard_"):
        base._to_static_mode_guard_ = base.to_static_mode_guard
