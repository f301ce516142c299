"""A model's tensors by name."""

from __future__ import annotations

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.graph.model import layer_of, shapes_of, tensors_of


def test_buffers_that_are_not_saved_are_tensors_of_the_model():
    model = paddle.nn.Sequential(paddle.nn.Linear(2, 3))
    model[0].register_buffer("scale", paddle.ones([1]), persistable=False)
    assert "0.scale" not in model.state_dict()
    assert shapes_of(model) == {"0.scale": (1,), "0.weight": (2, 3), "0.bias": (3,)}
    assert tensors_of(model)["0.weight"] is model[0].weight


def test_a_parameter_belongs_to_a_layer():
    assert layer_of("blocks.0.conv.weight") == "blocks.0.conv"
    assert layer_of("weight") == ""
