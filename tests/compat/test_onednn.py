"""Operators that Paddle cannot export, or that its oneDNN stops at or computes wrongly."""

from __future__ import annotations

import re

import numpy as np
import pytest

from ppcls_slim.compat.legacy_program import program_of
from ppcls_slim.compat.onednn.pad_axes import pad_as_pad3d
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.deploy import paddle_inference as runtime

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


class Padded(Scaled):
    """Rows and columns added to ``[B, H, W, C]``, as SwinTransformer does, and channels to ``[B, L, C]``."""

    def forward(self, x):
        x = self.conv(x).transpose([0, 2, 3, 1])
        x = paddle.nn.functional.pad(x, [0, 0, 0, 5, 1, 2, 0, 0])
        return paddle.nn.functional.pad(x.flatten(1, 2), [0, 0, 0, 0, 3, 1], value=0.5)


@pytest.mark.parametrize("kind", [Scaled, ChannelNorm, Leaky, PlainNorm, Folded, Padded])
@pytest.mark.parametrize("onednn", [True, False])
def test_what_is_exported_computes_the_same(kind, onednn, tmp_path):
    with paddle.utils.unique_name.guard():  # as models are built: names are then given twice
        model = kind()
    model.eval()
    tensors = list(model.state_dict())
    runtime.save(model, [3, 16, 16], tmp_path)
    assert list(model.state_dict()) == tensors
    assert "pad" not in operators(tmp_path)  # before it is run: it ends the process
    images = np.random.default_rng(0).normal(size=(2, 3, 16, 16)).astype("float32")
    found = runtime.Predictor(tmp_path, onednn=onednn)(images)
    np.testing.assert_allclose(found, model(paddle.to_tensor(images)).numpy(), atol=1e-4)


def operators(folder):
    program, _ = runtime.files_of(folder)
    if program.suffix == ".json":
        return set(re.findall(r'"1\.(\w+)"', program.read_text(encoding="utf-8")))
    with program_of(folder / runtime.NAME) as (_, old, _, _):
        return {op.type for op in old.global_block().ops}


@pytest.mark.parametrize(
    ("shape", "pad", "written"),
    [
        ([4], [1, 2], "pad3d"),
        ([2, 3], [1, 2, 0, 3], "pad3d"),
        ([2, 3, 4], [1, 0, 2, 3, 0, 4], "pad3d"),
        ([2, 3, 4, 5], [0, 0, 1, 2, 3, 0, 0, 4], "pad3d"),
        ([2, 3, 1, 4, 5], [0, 0, 0, 0, 1, 2, 3, 0, 0, 4], "pad3d"),
        ([2, 3, 4, 5], [1, 0, 1, 2, 3, 0, 0, 4], "pad"),  # the batch, too
    ],
)
def test_paddings_of_three_axes_are_written_as_pad3d(shape, pad, written, monkeypatch):
    functional = paddle.nn.functional
    upstream, calls = functional.pad, []
    monkeypatch.setattr(functional, "pad", lambda *args, **options: calls.append(args) or upstream(*args, **options))
    x = paddle.arange(np.prod(shape)).reshape(shape)
    with pad_as_pad3d():
        found = functional.pad(x, pad, value=7)
    np.testing.assert_array_equal(found.numpy(), upstream(x, pad, value=7).numpy())
    ((given, sizes, *_),) = calls
    assert (given.ndim, len(sizes)) == ((5, 6) if written == "pad3d" else (len(shape), len(pad)))


@pytest.mark.skipif(paddle.__version__.startswith("2."), reason="Paddle 3 takes fewer paddings than axes")
def test_fewer_paddings_begin_with_the_last_axis():
    x = paddle.arange(24).reshape([1, 2, 3, 4])
    with pad_as_pad3d():
        found = paddle.nn.functional.pad(x, [1, 2, 0, 3, 1, 1], value=7)
    np.testing.assert_array_equal(found.numpy(), paddle.nn.functional.pad(x, [1, 2, 0, 3, 1, 1], value=7).numpy())
