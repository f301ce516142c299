"""oneDNN's ``pad`` takes the paddings of all axes for those of an image's.

Symptom: it pads other axes than it should, and fills several times its output's memory with the value, so that some
later allocation ends the process (``invalid fastbin entry (free)``). That happens to float and to int8 models that
pad, say, ``[B, H, W, C]``, as SwinTransformer does for images whose features are not a multiple of its window.
Pass: none; the kernel of ``pad``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the kernel pads the axes that it is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Optional

from ..paddle import paddle
from ..patching import replaced


@contextmanager
def pad_as_pad3d() -> Iterator[None]:
    """Let ``functional.pad`` write the operator ``pad3d`` in place of ``pad``, for the length of a ``with`` block.

    ``pad3d`` is right: its paddings are those of the last three of five axes. Paddings of the batch (of four axes)
    are left to ``pad``, and so are those of the first two of five.
    """
    functional = paddle.nn.functional
    upstream = functional.pad

    @paddle.jit.not_to_static  # or tracing would translate it, too
    def pad(x: Any, pad: Any, mode: str = "constant", value: Any = 0.0, *others: Any, **options: Any) -> Any:
        rank = len(x.shape)
        sizes = None
        if mode == "constant" and isinstance(pad, (list, tuple)) and len(pad) != 2 * (rank - 2) and not others:
            sizes = _of_three_axes([*pad], rank, options.get("pad_from_left_axis", True))
        if sizes is None or not isinstance(value, (int, float)):
            return upstream(x, pad, mode, value, *others, **options)
        added = list(range(5 - rank))
        data = paddle.unsqueeze(x, added) if added else x
        padded = upstream(data, sizes, value=float(value), data_format="NCDHW")
        return paddle.squeeze(padded, added) if added else padded

    with replaced(functional, pad=pad):
        yield


def _of_three_axes(pad: list[Any], rank: int, from_left: bool) -> Optional[list[int]]:
    """Return what ``pad3d`` takes: before and behind, last axis first; None if it cannot express it."""
    if rank > 5 or not all(isinstance(size, int) for size in pad):
        return None
    pairs = list(zip(pad[::2], pad[1::2]))
    if from_left and len(pairs) == rank:  # fewer, in Paddle 3, begin with the last axis
        pairs.reverse()
    pairs += [(0, 0)] * (3 - len(pairs))
    return None if any(map(any, pairs[3:])) else [size for pair in pairs[:3] for size in pair]
