"""``IrGraph.link_to`` looks through the whole graph for both nodes at every call.

Symptom: a third of the time of HRNet's int8 export, with 652 quantizers.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: ``link_to`` takes constant time, or QAT is not exported through ``IrGraph`` any more.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ...patching import replaced


@contextmanager
def patched() -> Iterator[None]:
    """Link without looking, for the length of a ``with`` block."""
    from paddle.base.framework import IrGraph  # only exports need it

    with replaced(IrGraph, link_to=_link):
        yield


def _link(graph: Any, first: Any, second: Any) -> None:
    first.append_output(second)
    second.append_input(first)
