"""Each patch against the release that needs it."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from conftest import ROOT
from ppcls_slim.compat.paddle import paddle
from ppcls_slim.compat.paddleclas.config import copy_config
from ppcls_slim.compat.paddleclas.engine import load_engine
from ppcls_slim.compat.paddleclas.find import ppcls_version

pytestmark = pytest.mark.paddle26


@pytest.fixture(scope="module", autouse=True)
def engine():
    module = load_engine()
    module.init_logger()  # parts of PaddleClas log, and fail without
    return module


def test_losses_and_meters_without_an_axis():
    """paddleclas 2.4.2: ``loss_dict[key].numpy()[0]`` in classification_eval, ``self.avg.numpy()[0]``."""
    from ppcls.loss import build_loss
    from ppcls.utils.misc import AverageMeter

    losses = build_loss([{"CELoss": {"weight": 1.0}}])(paddle.randn([4, 3]), paddle.to_tensor([[0], [1], [2], [0]]))
    if ppcls_version() == "2.4.2":
        assert losses["loss"].numpy()[0] > 0
    meter = AverageMeter("top1")
    meter.update(paddle.to_tensor(0.5), 2)
    assert meter.avg_info == "top1: 0.50000"


def test_retrieval_metrics_without_an_axis():
    """paddleclas 2.4.2: ``paddle.mean(ap).numpy()[0]`` in mAP."""
    from ppcls.metric.metrics import mAP

    similarities = paddle.to_tensor([[0.9, 0.1, 0.5], [0.2, 0.8, 0.3]])
    labels = paddle.to_tensor([[0], [1]])
    gallery = paddle.to_tensor([[0], [1], [0]])
    found = mAP()(similarities, labels, gallery, None)["mAP"]
    assert float(np.asarray(found)) == pytest.approx(1.0)


def test_momentum_takes_nesterov():
    """paddleclas 2.4.2: ``Momentum`` has no ``use_nesterov``. One step of it, by hand."""
    from ppcls.optimizer import optimizer

    for nesterov, expected in ((True, 1 - 0.1 * (2 + 0.9 * 2)), (False, 1 - 0.1 * 2)):
        layer = paddle.nn.Linear(1, 1, bias_attr=False)
        layer.weight.set_value(paddle.ones([1, 1]))
        built = optimizer.Momentum(0.1, 0.9, use_nesterov=nesterov, multi_precision=False)([layer])
        (2 * layer.weight).sum().backward()
        built.step()
        assert layer.weight.item() == pytest.approx(expected)


def test_auto_augment_can_be_built():
    """paddleclas 2.4.2: ``np.int``, which NumPy 1.24 removed."""
    from ppcls.data.preprocess import AutoAugment

    AutoAugment()


def test_label_files_of_paddleclas_are_found_from_anywhere(tmp_path, monkeypatch):
    from ppcls.data.postprocess import build_postprocess

    monkeypatch.chdir(tmp_path)
    topk = build_postprocess(
        {"name": "Topk", "topk": 1, "class_id_map_file": "ppcls/utils/imagenet1k_label_list.txt"}
    )
    assert topk.class_id_map[0].startswith("tench")


def test_parallel_env_has_a_device_on_a_cpu():
    """PaddleClas develop: ``ParallelEnv().device_id`` in classification_eval."""
    assert paddle.distributed.ParallelEnv().device_id == 0


def test_scipy_can_be_imported_after_the_plugin():
    """Paddle 2.6.2: a clash of zlib symbols, unless SciPy comes first."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'plugin')!r})\n"
        "from ppcls_slim.compat.paddle import paddle\n"
        "import scipy.stats, scipy.io, zlib\n"
        "print(zlib.decompress(zlib.compress(b'fine')).decode())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.strip() == "fine", done.stderr


def test_configurations_keep_their_class_when_copied():
    from ppcls.utils.config import AttrDict

    config = AttrDict({"Global": AttrDict({"epochs": 3}), "list": [AttrDict({"a": 1})]})
    copied = copy_config(config)
    copied.Global["epochs"] = 4
    assert (config.Global.epochs, copied.Global.epochs, copied["list"][0].a) == (3, 4, 1)
