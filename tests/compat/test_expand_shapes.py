"""Class tokens of vision transformers, on their way to ONNX."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.compat.expand_shapes import LIST, shapes_as_one_tensor
from ppcls_slim.compat.legacy_ops import traced_into_legacy_ir
from ppcls_slim.compat.legacy_program import legacy_ir, program_of, save_program
from ppcls_slim.compat.paddle import paddle

pytestmark = pytest.mark.paddle26


class Token(paddle.nn.Layer):
    """Puts a token before the positions of a feature map, as DeiT does."""

    def __init__(self):
        super().__init__()
        self.token = self.create_parameter([1, 1, 3])

    def forward(self, x):
        token = self.token.expand((paddle.shape(x)[0], -1, -1))
        return paddle.concat([token, x.flatten(2).transpose([0, 2, 1])], axis=1)


def run(path, images):
    with program_of(path) as (executor, program, feeds, fetches):
        lists = [op.input(LIST) for op in program.global_block().ops if op.type == "expand_v2"]
        return executor.run(program, feed={feeds[0]: images}, fetch_list=fetches)[0], lists


def test_a_shape_that_is_a_list_becomes_one_tensor_and_nothing_else_changes(tmp_path):
    paddle.disable_static()  # PaddleSlim and old releases leave it on
    model = Token()
    spec = paddle.static.InputSpec([None, 3, 4, 4], "float32", "x")
    with legacy_ir(), traced_into_legacy_ir():
        paddle.jit.save(paddle.jit.to_static(model, input_spec=[spec], full_graph=True), str(tmp_path / "before"))
    with program_of(tmp_path / "before") as (executor, program, feeds, fetches):
        shapes_as_one_tensor(program.global_block())
        save_program(tmp_path / "after", executor, program, feeds, fetches)
    images = np.random.default_rng(0).standard_normal((5, 3, 4, 4)).astype("float32")
    (before, had), (after, has) = (run(tmp_path / name, images) for name in ("before", "after"))
    assert had != [[]]
    assert has == [[]]
    np.testing.assert_array_equal(after, before)
