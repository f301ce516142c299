"""oneDNN's ``slice`` cannot give an empty tensor, of which SVTR concatenates one to its positions.

Symptom: ``could not reshape a memory descriptor``.
Pass: none; the kernel of ``slice``.
Versions: Paddle 2.6.2 and 3.3.1.
Delete when: the kernel accepts a size of zero.
"""

from __future__ import annotations

from typing import Any

from ..legacy_program import consumers


def rewrite(block: Any) -> None:
    """Take empty tensors out of the ``concat`` that reads them."""
    for place in reversed([i for i, op in enumerate(block.ops) if op.type == "slice"]):
        empty = block.ops[place].output("Out")[0]
        users = consumers(block, empty)
        if 0 in block.var(empty).shape and all(op.type == "concat" for op in users):
            for op in users:
                op.desc.set_input("X", [name for name in op.input("X") if name != empty])
            block._remove_op(place)
