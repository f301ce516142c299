"""The mobile networks that PyTorch trains are those of PaddleClas, at the widths that the plugin left."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.engine.build import build_dense
from ppcls_slim.prune.planning import make_plan

torch = pytest.importorskip("torch", reason="PyTorch is not installed")

from benchmarks.cifar10_pruned import plans  # noqa: E402  (PyTorch is there)
from benchmarks.cifar10_pruned.images import enlarge  # noqa: E402
from benchmarks.cifar10_pruned.layout import layout_of  # noqa: E402
from benchmarks.cifar10_pruned.network import network_of  # noqa: E402
from benchmarks.cifar10_pruned.parameters import Parameters  # noqa: E402
from safetensors.torch import load_file  # noqa: E402

from ppcls_slim.prune.plan import Plan  # noqa: E402

ARCHS = ("MobileNetV3_small_x1_0", "PPLCNet_x0_25")


@pytest.mark.parametrize("arch", ARCHS)
def test_pruned_mobile_networks_compute_what_they_compute_in_paddle(arch: str, tmp_path: Path) -> None:
    paddle.seed(3)
    config = plans.configuration(arch)
    model = build_dense(config, "train", fetch_pretrained=False)
    rng = np.random.default_rng(3)
    for name, tensor in model.state_dict().items():
        if ".bn." in name:
            tensor.set_value(rng.uniform(0.5, 1.5, tensor.shape).astype(np.float32))
    model.eval()
    plan = make_plan(model, PruneConfig(name="l1_norm", pruned_ratio=0.3), config["Global"]["image_shape"])
    plans.write_plan(model, plan, "pruned", tmp_path)
    state = load_file(tmp_path / "pruned.safetensors")
    layout, cpu = layout_of(state), torch.device("cpu")
    parameters = Parameters(layout, 8, cpu, torch.float32, low=False)
    parameters.load(state)
    network = network_of(layout, 8, cpu, torch.float32, compiled=False)
    images = rng.standard_normal((8, 3, 32, 32)).astype(np.float32)
    x = parameters.widened(torch.from_numpy(images))
    logits = network.forward(parameters.leaves, parameters.stats, x, training=False).detach().numpy()
    with paddle.no_grad():
        expected = model(paddle.to_tensor(enlarge(images, 2))).numpy()
    np.testing.assert_allclose(logits, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())
    assert layout.macs() == Plan.from_json(json.loads((tmp_path / "pruned.plan.json").read_text())).flops["pruned"]
    back = parameters.state_dict(parameters.flat, parameters.statistics)
    assert set(back) == set(state)
    assert all(torch.equal(back[name], value) for name, value in state.items())
