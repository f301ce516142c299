"""PyTorch's weights of the CIFAR ResNets, and the accuracy that was published for them."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from safetensors.numpy import save_file

from conftest import ROOT

PUBLISHED = {20: 91.73, 32: 92.63, 44: 93.10, 56: 93.39}  # akamaster/pytorch_resnet_cifar10
CONFIG = ROOT / "ppcls_configs/cifar10/resnet20.yaml"


def made_up(blocks: int = 1, dtype: type = np.float32) -> dict[str, np.ndarray]:
    """Random weights under PyTorch's names."""
    random, state = np.random.default_rng(0), {}

    def conv_bn(conv: str, bn: str, in_c: int, out_c: int) -> None:
        state[f"{conv}.weight"] = random.normal(size=(out_c, in_c, 3, 3)).astype(dtype) / np.sqrt(9 * in_c)
        for kind in ("weight", "bias", "running_mean", "running_var"):
            state[f"{bn}.{kind}"] = random.uniform(0.5, 1.5, out_c).astype(np.float32)
        state[f"{bn}.num_batches_tracked"] = np.asarray(7)

    conv_bn("conv1", "bn1", 3, 16)
    in_c = 16
    for stage, out_c in enumerate((16, 32, 64), 1):
        for block in range(blocks):
            for number, inputs in ((1, in_c), (2, out_c)):
                conv_bn(f"layer{stage}.{block}.conv{number}", f"layer{stage}.{block}.bn{number}", inputs, out_c)
            in_c = out_c
    state["linear.weight"] = random.normal(size=(10, 64)).astype(dtype)
    state["linear.bias"] = random.normal(size=10).astype(np.float32)
    return state


@pytest.mark.paddle26
def test_names_and_layout(cli, tmp_path):
    state = made_up(dtype=np.float16)
    save_file(state, tmp_path / "w.safetensors")
    result = cli("import-weights", "w.safetensors", "--output", "out/w.pdparams")
    assert result.status == 0, result.err
    assert "CifarResNet8" in result.out
    from ppcls_slim.compat.paddle import paddle
    from ppcls_slim.zoo.cifar_resnet import BACKBONES

    written = paddle.load(str(tmp_path / "out/w.pdparams"))
    assert set(written) == set(BACKBONES["CifarResNet8"]().state_dict())
    np.testing.assert_array_equal(written["linear.weight"].numpy(), state["linear.weight"].T.astype(np.float32))
    np.testing.assert_array_equal(written["layer2.0.bn1._variance"].numpy(), state["layer2.0.bn1.running_var"])
    metadata = json.loads((tmp_path / "out/w.slim.json").read_text())
    assert metadata["imported"]["file"] == "w.safetensors"
    assert "zeroed" not in metadata


def test_logits_are_pytorchs(tmp_path, cli):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    state = made_up()
    save_file(state, tmp_path / "w.safetensors")
    assert cli("import-weights", "w.safetensors", "--output", "w").status == 0
    images = np.random.default_rng(1).normal(size=(4, 3, 32, 32)).astype(np.float32)
    tensors = {name: torch.from_numpy(value.astype(np.float32)) for name, value in state.items()}

    def conv_bn(x, conv, bn, stride=1):
        x = torch.nn.functional.conv2d(x, tensors[f"{conv}.weight"], stride=stride, padding=1)
        kinds = ("running_mean", "running_var", "weight", "bias")
        return torch.nn.functional.batch_norm(x, *(tensors[f"{bn}.{kind}"] for kind in kinds))

    x = conv_bn(torch.from_numpy(images), "conv1", "bn1").relu()
    for stage in (1, 2, 3):
        name, stride = f"layer{stage}.0", 2 if stage > 1 else 1
        y = conv_bn(conv_bn(x, f"{name}.conv1", f"{name}.bn1", stride).relu(), f"{name}.conv2", f"{name}.bn2")
        if stride == 2:
            quarter = y.shape[1] // 4
            x = torch.nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, quarter, quarter))
        x = (x + y).relu()
    expected = x.mean((2, 3)) @ tensors["linear.weight"].T + tensors["linear.bias"]

    from ppcls_slim.compat.paddle import paddle
    from ppcls_slim.zoo.cifar_resnet import BACKBONES

    model = BACKBONES["CifarResNet8"]()
    model.set_state_dict(paddle.load(str(tmp_path / "w.pdparams")))
    model.eval()
    np.testing.assert_allclose(model(paddle.to_tensor(images)).numpy(), expected.numpy(), rtol=1e-4, atol=1e-4)


@pytest.mark.paddle26
def test_mistakes(cli, tmp_path):
    whole = made_up()
    save_file({k: v for k, v in whole.items() if k != "layer3.0.bn1.bias"}, tmp_path / "missing.safetensors")
    save_file({**whole, "layer1.0.extra.weight": np.zeros(3)}, tmp_path / "more.safetensors")
    save_file({"features.0.weight": np.zeros((3, 3))}, tmp_path / "vgg.safetensors")
    (tmp_path / "text.safetensors").write_text("not at all")
    for name, words in (
        ("none", "there is no file none.safetensors"),
        ("missing", "has no layer3.0.bn1.bias"),
        ("more", "layer1.0.extra.weight"),
        ("vgg", "features.0.weight"),
        ("text", "not a safetensors file"),
    ):
        result = cli("import-weights", f"{name}.safetensors", "--output", "out")
        assert result.status == 2
        assert words in result.message
    assert not list(tmp_path.glob("out*"))


@pytest.mark.parametrize("depth", [20, *(pytest.param(deeper, marks=pytest.mark.slow) for deeper in (32, 44, 56))])
def test_published_accuracy_to_the_digit(cli, cifar10, published_weights, depth):
    """On all 10,000 lossless test images."""
    weights = published_weights / f"resnet{depth}.safetensors"
    assert cli("import-weights", weights, "--output", "weights").status == 0
    result = cli(
        "eval", "-c", CONFIG, "-o", f"Arch.name=CifarResNet{depth}", "-o", "Global.pretrained_model=weights",
        "-o", f"DataLoader.Eval.dataset.data_file={cifar10}",
    )  # fmt: skip
    assert result.status == 0, result.err
    top1 = float(re.findall(r"\[Avg\].*top1: ([0-9.]+)", result.out)[-1])
    assert round(100 * top1, 2) == PUBLISHED[depth]


@pytest.mark.paddle26
def test_filters_that_are_zero_are_removed_by_whoever_reads_the_checkpoint(cli, tmp_path):
    from ppcls_slim import checkpoint as checkpoints
    from ppcls_slim.compat.paddle import paddle
    from ppcls_slim.prune.schedules.remove_masked import remove_masked
    from ppcls_slim.zoo.cifar_resnet import BACKBONES

    state = made_up()
    state["layer1.0.conv1.weight"][[2, 5, 11]] = 0
    state["layer3.0.conv2.weight"][7] = 0  # of a channel that a shortcut fills too
    save_file(state, tmp_path / "w.safetensors")
    assert cli("import-weights", "w.safetensors", "--output", "w").status == 0
    found = checkpoints.open_checkpoint("w", "test")
    assert found.masked.chosen == {"layer1.0.conv1.weight": (2, 5, 11), "layer3.0.conv2.weight": (7,)}
    model = BACKBONES["CifarResNet8"]()
    model.set_state_dict(checkpoints.read_weights(found))
    model.eval()
    images = paddle.to_tensor(np.random.default_rng(1).normal(size=(4, 3, 32, 32)).astype(np.float32))
    before = model(images).numpy()
    remove_masked(model, found.masked)
    assert model.layer1[0].conv1.weight.shape[0] in (13, 14)  # 14 where one carries the others' constants
    assert model.layer3[0].conv2.weight.shape[0] == 64
    np.testing.assert_allclose(model(images).numpy(), before, rtol=1e-4, atol=1e-3)


@pytest.mark.paddle26
def test_weights_trained_with_pact_need_their_bits(cli, tmp_path):
    save_file({**made_up(), "alphas": np.linspace(1, 2, 6, dtype=np.float32)}, tmp_path / "w.safetensors")
    save_file(made_up(), tmp_path / "float.safetensors")
    for arguments, words in (
        (("w.safetensors",), "give --bits"),
        (("float.safetensors", "--bits", "4"), "leave --bits out"),
        (("float.safetensors", "--int8"), "--int8 is for networks trained with PACT"),
    ):
        result = cli("import-weights", *arguments, "--output", "out")
        assert result.status == 2
        assert words in result.message
    imported = cli("import-weights", "w.safetensors", "--bits", "4", "--output", "w")
    assert imported.status == 0, imported.err
    assert "-o Arch.name=CifarResNet8 -o Arch.pact_bits=4 -o Arch.weight_bits=4" in imported.out
    from ppcls_slim.compat.paddle import paddle

    weights = paddle.load(str(tmp_path / "w.pdparams"))
    order = ["relu", "layer1.0.relu1", "layer1.0.relu2", "layer2.0.relu1", "layer2.0.relu2", "layer3.0.relu1"]
    found = [weights[f"{name}.alpha"].item() for name in order]
    np.testing.assert_allclose(found, np.linspace(1, 2, 6), rtol=1e-6)


def test_a_pact_network_for_int8_has_scales_from_its_alphas(cli, tmp_path):
    save_file({**made_up(), "alphas": np.linspace(1, 2, 6, dtype=np.float32)}, tmp_path / "w.safetensors")
    assert cli("import-weights", "w.safetensors", "--bits", "4", "--int8", "--output", "w").status == 0
    from ppcls_slim.compat.paddle import paddle
    from ppcls_slim.reference import pact

    weights = {name: tensor.numpy() for name, tensor in paddle.load(str(tmp_path / "w.pdparams")).items()}
    quantized = [name for name in weights if name.endswith("conv2._layer.weight") or name.endswith("conv2.weight")]
    expected = pact.dorefa_weight(made_up()["layer2.0.conv2.weight"].astype(np.float64), 4)
    name = next(name for name in quantized if name.startswith("layer2.0"))
    same = np.isclose(weights[name], expected, rtol=1e-5, atol=1e-6)
    assert same.mean() > 0.999  # float32 puts one in thousands on the other side of a threshold
    # layer2.0.conv2 reads layer2.0.relu1, the fourth of six values from 1 to 2.
    scale = next(v for n, v in weights.items() if n.startswith("layer2.0.conv2") and n.endswith("_input._scale"))
    assert scale.item() == pytest.approx(1.6)
