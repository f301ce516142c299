"""Programs are recorded alike in PIR and in legacy IR."""

from __future__ import annotations

import pytest

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.graph.record import BATCH, record

pytestmark = pytest.mark.paddle26


class Net(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, 8, 3, padding=1, groups=1)
        self.block = paddle.nn.Sequential(paddle.nn.ReLU(), paddle.nn.Conv2D(8, 4, 1, bias_attr=False))
        self.register_buffer("order", paddle.to_tensor([3, 2, 1, 0]))

    def forward(self, x):
        x = paddle.index_select(self.block(self.conv(x)), self.order, axis=1)
        return {"features": x, "scores": [x.mean([2, 3])]}


class Stops(Net):
    def forward(self, x):
        return self.conv(x).reshape([-1, 5])


def test_operations_have_canonical_names_and_the_layer_that_ran_them():
    program = record(Net(), [3, 8, 8])
    assert [(op.name, op.layer) for op in program.operations if op.name != "reshape"] == [
        ("conv2d", "conv"),
        ("add", "conv"),
        ("relu", "block.0"),
        ("conv2d", "block.1"),
        ("index_select", ""),
        ("mean", ""),
    ]


def test_tensors_carry_shape_parameter_and_content():
    program = record(Net(), [3, 8, 8])
    first = program.operations[0]
    assert first.inputs[0].shape == (BATCH, 3, 8, 8)
    assert (first.inputs[1].param, first.inputs[1].shape) == ("conv.weight", (8, 3, 3, 3))
    index = next(op for op in program.operations if op.name == "index_select").inputs[1]
    assert (index.param, index.value.tolist()) == ("order", [3, 2, 1, 0])
    assert [(path, tensor.shape) for path, tensor in program.outputs] == [
        (("features",), (BATCH, 4, 8, 8)),
        (("scores", 0), (BATCH, 4)),
    ]


def test_a_parameter_can_be_recorded_smaller_than_it_is():
    model = Net()
    program = record(model, [3, 8, 8], shapes={"block.1.weight": [4, 8, 1, 1], "conv.weight": [8, 3, 5, 5]})
    assert program.operations[0].inputs[1].shape == (8, 3, 5, 5)
    assert model.conv.weight.shape == [8, 3, 3, 3]


def test_a_forward_pass_that_raises_gives_the_error_and_what_came_before():
    program = record(Stops(), [3, 8, 7])
    assert program.error
    assert program.operations[0].name == "conv2d"
    assert program.outputs == []


@pytest.mark.parametrize("training", [True, False])
def test_a_model_is_left_as_it_was(training):
    model = Net()
    model.train()
    call = paddle.nn.Layer.__call__
    record(model, [3, 8, 8], training=training)
    assert model.conv.training
    assert paddle.nn.Layer.__call__ is call
    assert paddle.in_dynamic_mode()
    assert model(paddle.zeros([1, 3, 8, 8]))["features"].shape == [1, 4, 8, 8]
