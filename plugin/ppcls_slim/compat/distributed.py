"""Several processes that train one model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from .paddle import paddle
from .patching import replaced

T = TypeVar("T")


def broadcast_from_rank0(make: Callable[[], T]) -> T:
    """Call ``make`` in the first process and give its result, which has to be picklable, to all of them."""
    distributed = paddle.distributed
    if distributed.get_world_size() == 1:
        return make()
    distributed.init_parallel_env()
    box: list[Any] = [make() if distributed.get_rank() == 0 else None]
    distributed.broadcast_object_list(box, src=0)
    received: T = box[0]
    return received


@contextmanager
def alone() -> Iterator[None]:
    """Work as the only process, for what the first process does while the others do not wait for it.

    PaddleClas's engine asks how many processes there are, and makes a ``DataParallel``, which waits for all of them.
    """
    with replaced(paddle.distributed, get_world_size=lambda *_: 1):
        yield


def is_rank0() -> bool:
    """Whether this is the first process, the one that writes files."""
    return bool(paddle.distributed.get_rank() == 0)


def synchronizes(device: str) -> bool:
    """Whether there is something to synchronize: several processes, each with a GPU, which the kernel needs."""
    return device == "gpu" and int(paddle.distributed.get_world_size()) > 1
