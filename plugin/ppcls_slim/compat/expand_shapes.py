"""Give ``expand_v2`` its computed shape as one tensor.

Symptom: ``paddle2onnx`` ends in a segmentation fault on a shape that is a list of tensors, some of no dimension, as
that of the class token of DeiT and other vision transformers in legacy IR.
Versions: paddle2onnx 2.1.0.
Delete when: it converts such lists.
"""

from __future__ import annotations

from typing import Any

LIST = "expand_shapes_tensor"


def shapes_as_one_tensor(block: Any) -> None:
    """Rewrite the operators of a program in legacy IR, in place."""
    for op in [one for one in block.ops if one.type == "expand_v2" and one.input(LIST)]:
        name = f"{op.output('Out')[0]}.shape"
        sizes = [_of_one_dimension(block, op, size, f"{name}.{at}") for at, size in enumerate(op.input(LIST))]
        whole = block.create_var(name=name, shape=[len(sizes)], dtype=sizes[0].dtype)
        place = block.ops.index(op)
        block._insert_op(place, type="concat", inputs={"X": sizes}, outputs={"Out": whole}, attrs={"axis": 0})
        op.desc.set_input("Shape", [whole.name])
        op.desc.set_input(LIST, [])
    block._sync_with_cpp()


def _of_one_dimension(block: Any, op: Any, size: str, name: str) -> Any:
    """The size as a tensor ``[1]``; some are ``[]``."""
    variable = block.var(size)
    if len(variable.shape) == 1:
        return variable
    found = block.create_var(name=name, shape=[1], dtype=variable.dtype)
    unused = block.create_var(name=f"{name}.before", shape=[0], dtype=variable.dtype)
    block._insert_op(
        block.ops.index(op),
        type="reshape2",
        inputs={"X": variable},
        outputs={"Out": found, "XShape": unused},
        attrs={"shape": [1]},
    )
    return found
