"""Operators that Paddle cannot export, or that its oneDNN stops at or computes wrongly."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.export import inference
from ppcls_slim.upstream.paddle_lines import paddle

pytestmark = pytest.mark.paddle26


class Scaled(paddle.nn.Layer):
    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, 8, 3, padding=1)

    def forward(self, x):
        return paddle.nn.functional.interpolate(self.conv(x), scale_factor=2)


class ChannelNorm(Scaled):
    """Layer normalization over channels, as ConvNeXt writes it."""

    def forward(self, x):
        x = self.conv(x)
        x = x - x.mean(1, keepdim=True)
        return x / paddle.sqrt(x.pow(2).mean(1, keepdim=True) + 1e-6)


class Leaky(Scaled):
    def forward(self, x):
        return paddle.nn.functional.leaky_relu(self.conv(x))


class PlainNorm(Scaled):
    """Batch normalization that learns neither scale nor shift, as AdaFace has it."""

    def __init__(self):
        super().__init__()
        self.norm = paddle.nn.BatchNorm2D(8, weight_attr=False, bias_attr=False)

    def forward(self, x):
        return self.norm(paddle.nn.functional.relu(self.conv(x)))


class Folded(Scaled):
    """Patches taken out and put back, as MobileViTV2 does."""

    def forward(self, x):
        patches = paddle.nn.functional.unfold(self.conv(x), 2, 2)
        return paddle.nn.functional.fold(patches, [16, 16], 2, 2)


@pytest.mark.parametrize("kind", [Scaled, ChannelNorm, Leaky, PlainNorm, Folded])
@pytest.mark.parametrize("onednn", [True, False])
def test_what_is_exported_computes_the_same(kind, onednn, tmp_path):
    with paddle.utils.unique_name.guard():  # as models are built: names are then given twice
        model = kind()
    model.eval()
    tensors = list(model.state_dict())
    inference.save(model, [3, 16, 16], tmp_path)
    assert list(model.state_dict()) == tensors
    images = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype("float32")
    found = inference.Predictor(tmp_path, onednn=onednn)(images)
    np.testing.assert_allclose(found, model(paddle.to_tensor(images)).numpy(), atol=1e-4)
