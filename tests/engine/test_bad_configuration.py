"""What PaddleClas would raise on is one line that names the key; what can be done instead is done, and said."""

from __future__ import annotations

import pytest
import yaml

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddle import is_pir, paddle
from ppcls_slim.config.prune import PruneConfig
from ppcls_slim.engine.build import build_dense
from ppcls_slim.prune.planning import make_plan

pytestmark = pytest.mark.paddle26


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("Global.device=xpu", ["Global.device is xpu", "cpu or gpu"]),
        ("Global.device=cpux", ["Global.device is cpux"]),
        ("Arch.unknown_key=3", ["Arch", "unknown_key"]),
        ("DataLoader.Train.dataset.name=ImageNetDatset", ["'ImageNetDatset'", "did you mean 'ImageNetDataset'"]),
        ("DataLoader.Train.dataset.unknown_key=3", ["DataLoader.Train", "unknown_key"]),
        ("DataLoader.Train.sampler.name=Sampler9", ["'Sampler9'"]),
        ("DataLoader.Train.dataset.transform_ops=[{Resise: {}}]", ["DataLoader.Train", "Resise"]),
        ("Loss.Train=[{CELoss: {weigth: 1}}]", ["Loss", "weight"]),
        ("Metric.Eval=[{TopkAc: {topk: [1]}}]", ["'TopkAc'", "did you mean 'TopkAcc'"]),
        ("Optimizer.name=Momentun", ["Optimizer", "Momentun"]),
        ("Optimizer.regularizer.name=L3", ["Optimizer", "L3"]),
        ("Optimizer.lr.name=Cosin", ["Optimizer", "Cosin"]),
    ],
)
def test_training_refuses(cli, small, tmp_path, override, words):
    result = cli("train", "-c", small, "-o", override)
    assert result.status == 2
    for word in words:
        assert word in result.message
    assert not list(tmp_path.rglob("*.pdparams"))


def test_keys_without_a_value_are_what_they_mean(cli, small):
    config = yaml.safe_load(small.read_text())
    for key in ("pretrained_model", "checkpoints"):
        config["Global"].pop(key, None)
    small.write_text(yaml.safe_dump(config))
    assert cli("train", "-c", small, "-o", "Global.epochs=0").status == 0


def test_synchronized_batch_normalization_is_left_out_where_there_is_nothing_to_synchronize(cli, small):
    result = cli("train", "-c", small, "-o", "Arch.use_sync_bn=True", "-o", "Global.epochs=0")
    assert result.status == 0, result.err
    lines = [
        line for line in (result.out + result.err).splitlines() if "Arch.use_sync_bn: there is one device" in line
    ]
    assert len(lines) == 1


def test_a_synchronized_model_has_the_same_names(small):
    config = {"Arch": {"name": "MobileNetV1_x0_25", "use_sync_bn": True}, "Global": {"device": "cpu"}}
    synchronized = build_dense(config, "train")
    assert not [one for one in synchronized.sublayers() if isinstance(one, paddle.nn.SyncBatchNorm)]
    del config["Arch"]["use_sync_bn"]
    assert list(synchronized.state_dict()) == list(build_dense(config, "train").state_dict())


class Labelled(paddle.nn.Layer):
    """Needs labels, as ``RecModel`` with the head ``AdaMargin`` (adaface_ir18.yaml)."""

    def __init__(self):
        super().__init__()
        self.conv = paddle.nn.Conv2D(3, 8, 3)

    def forward(self, x, label=None):
        return self.conv(x).mean([2, 3]) * label.reshape([-1, 1])


def test_a_forward_pass_that_cannot_be_recorded_is_the_reason():
    with pytest.raises(SlimError) as error:
        make_plan(Labelled(), PruneConfig(pruned_ratio=0.5), [3, 16, 16])
    message = str(error.value)
    assert "'NoneType' object has no attribute 'reshape'" in message
    assert "without labels" in message and "Global.image_shape" in message
    assert "quantize this model instead" not in message


def test_an_image_shape_that_does_not_fit_names_the_layer():
    if not is_pir():
        pytest.skip("Paddle 2.6 records a matrix product of sizes that do not fit")
    model = paddle.nn.Sequential(paddle.nn.Conv2D(3, 8, 3), paddle.nn.Flatten(), paddle.nn.Linear(8, 4))
    with pytest.raises(SlimError, match=r"\(in 2\).*Global\.image_shape"):
        make_plan(model, PruneConfig(pruned_ratio=0.5), [3, 16, 16])


def test_amp_that_is_switched_off_does_not_refuse_quantization(cli, small):
    config = yaml.safe_load(small.read_text())
    config["AMP"] = {"use_amp": False, "level": "O1", "scale_loss": 128.0, "use_dynamic_loss_scaling": True}
    config["Slim"] = {"quant": {"name": "pact", "calibration_batches": 1}}
    small.write_text(yaml.safe_dump(config))
    result = cli("train", "-c", small, "-o", "Global.epochs=0")
    assert result.status == 0, result.err
    result = cli("train", "-c", small, "-o", "Global.epochs=0", "-o", "AMP.use_amp=True")
    assert result.status == 2
    assert "AMP.use_amp=False" in result.message
