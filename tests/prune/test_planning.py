"""What is decided, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from small_models import backbone, two_convolutions

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.prune.planning import make_plan
from ppcls_slim.prune.pruner import prune
from ppcls_slim.report.tables import plan_table

pytestmark = pytest.mark.paddle26


def test_align_defaults_to_eight_on_a_gpu_and_to_paddleslims_on_a_cpu():
    config = PruneConfig(pruned_ratio=0.3)
    model = backbone("MobileNetV1_x0_25")
    on_gpu = make_plan(model, config, [3, 32, 32], device="gpu")
    on_cpu = make_plan(model, config, [3, 32, 32], device="cpu")
    assert (on_gpu.align, on_cpu.align) == (8, 1)
    assert "gpu" in on_gpu.align_reason
    assert all(len(d.kept) % 8 == 0 for d in on_gpu.decisions)
    assert any(len(d.kept) % 8 for d in on_cpu.decisions)


def test_weights_that_are_not_finite_are_refused_by_name():
    model = two_convolutions()
    model[0].weight.set_value(paddle.full([8, 3, 3, 3], float("nan")))
    with pytest.raises(SlimError, match=r"0\.weight has values that are not finite"):
        make_plan(model, PruneConfig(pruned_ratio=0.5), [3, 10, 10])


def test_convolutions_whose_output_leaves_the_model_are_kept_unless_asked():
    def model():
        return paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.ReLU(), paddle.nn.Conv2D(8, 4, 3))

    kept = make_plan(model(), PruneConfig(pruned_ratio=0.5, align=1), [3, 10, 10])
    assert [d.layers for d in kept.decisions] == [("0",)]
    assert kept.frozen == {"2": "an output of the model"}
    cut = model()
    prune(cut, make_plan(cut, PruneConfig(pruned_ratio=0.5, align=1, skip_leaves=False), [3, 10, 10]))
    assert cut(paddle.zeros([1, 3, 10, 10])).shape == [1, 2, 6, 6]


def test_an_image_with_other_channels_than_the_model_is_one_line():
    with pytest.raises(
        SlimError, match=r"image of \[32, 32, 32\].*: look at Arch, and at Global\.image_shape or"
    ) as told:
        make_plan(backbone("ResNet18"), PruneConfig(pruned_ratio=0.5), [32, 32, 32])
    assert len(str(told.value).splitlines()) == 1


class Pointwise(paddle.nn.Layer):
    """As in ConvNeXt: linear layers on ``[n, h, w, c]`` in the place of 1x1 convolutions."""

    def __init__(self):
        super().__init__()
        self.stem = paddle.nn.Conv2D(3, 8, 3, padding=1)
        self.up, self.down = paddle.nn.Linear(8, 16), paddle.nn.Linear(16, 8)
        self.head = paddle.nn.Linear(8, 5)

    def forward(self, x):
        y = self.stem(x).transpose([0, 2, 3, 1])
        y = self.down(paddle.nn.functional.gelu(self.up(y))).transpose([0, 3, 1, 2])
        return self.head(y.mean([2, 3]))


def test_linear_layers_that_are_pointwise_convolutions_are_scored_along_their_outputs():
    paddle.seed(0)
    model = Pointwise()
    plan = make_plan(model, PruneConfig(name="l1_norm", pruned_ratio=0.5, align=1), [3, 8, 8])
    decision = next(d for d in plan.decisions if d.root_weight == "up.weight")
    scores = np.abs(model.up.weight.numpy()).mean(axis=0)
    assert decision.kept == tuple(np.sort(scores.argsort()[8:]).tolist())
    prune(model, plan)
    assert (model.up.weight.shape, model.down.weight.shape) == ([4, 8], [8, 4])


def test_a_plan_tells_which_flops_pruning_cannot_reach():
    class Hybrid(paddle.nn.Layer):
        def __init__(self):
            super().__init__()
            self.first, self.second = paddle.nn.Conv2D(3, 8, 1), paddle.nn.Conv2D(8, 16, 1)
            self.norm, self.mlp = paddle.nn.LayerNorm(16), paddle.nn.Linear(16, 64)

        def forward(self, x):
            return self.mlp(self.norm(self.second(self.first(x)).mean([2, 3])))

    plan = make_plan(Hybrid(), PruneConfig(pruned_ratio=0.5, align=1), [3, 4, 4])
    assert plan.flops == {"dense": 16 * (24 + 128) + 1024, "pruned": 16 * (12 + 64) + 1024, "unreached": 1024}
    expected = [
        "  second: layer_norm over channels",
        "  linear layers with 29.6 % of the FLOPs: widths of attention and MLPs stay",
    ]
    assert plan_table(plan).split("not pruned, and why:\n")[1].splitlines()[:2] == expected


def test_a_backbone_that_asks_for_the_number_of_images_while_it_runs():
    plan = make_plan(backbone("EfficientNetB0_small"), PruneConfig(pruned_ratio=0.3), [3, 224, 224])
    assert not plan.frozen
    assert round(100 * plan.pruned_flops, 1) == 48.6


def test_code_that_does_something_else_with_the_channels_that_are_kept_is_an_error():
    class Net(paddle.nn.Layer):
        """Twelve channels are special, and only they."""

        def __init__(self):
            super().__init__()
            self.stem, self.last = paddle.nn.Conv2D(3, 20, 3), paddle.nn.Conv2D(20, 4, 3)

        def forward(self, x):
            x = self.stem(x)
            return self.last(-x if x.shape[1] == 12 else paddle.nn.functional.relu(x))

    assert make_plan(Net(), PruneConfig(pruned_ratio=0.5), [3, 10, 10]).slices.params
    with pytest.raises(SlimError, match=r"runs scale instead of relu: .*Slim\.prune\.skip, or choose another ratio"):
        make_plan(Net(), PruneConfig(pruned_ratio=0.4), [3, 10, 10])
