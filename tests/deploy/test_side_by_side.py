"""What an export says of its engines and precisions: which to deploy, and where compression gains nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.compat.paddleclas.logger import logger
from ppcls_slim.deploy.advice import advice
from ppcls_slim.deploy.side_by_side import Row, accuracy_holds, table
from ppcls_slim.deploy.target import Verified, runners
from ppcls_slim.deploy.timing import Latency
from ppcls_slim.verify.agreement import Agreement, agreement


def row(name, model, precision, milliseconds, dense=10.0, top1=None, holds=True):
    found = Agreement(top1, top1)
    latency = Latency(milliseconds, 0.9 * milliseconds, 1.2 * milliseconds, 0.05)
    return Row(name, model, precision, Path(name), 1000, latency, dense / milliseconds, found, holds)


DENSE = row("paddle", "dense", "fp32", 10.0)
CLOSE = {"paddle": 0.5, "openvino": 0.8}


def test_the_fastest_export_is_named_with_its_gain():
    rows = [
        DENSE,
        row("paddle", "exported", "int8", 4.0),
        row("openvino", "dense", "fp32", 8.0, dense=8.0),
        row("openvino", "exported", "int8", 2.0, dense=8.0),
    ]
    expected = "deploy openvino (openvino, int8): the fastest here, 4.00 times dense FP32 in the same engine"
    assert advice(rows) == [expected]


@pytest.mark.parametrize(
    ("precision", "helps"),
    [("int8", "Slim.quant.skip: auto-speed"), ("fp32", "a larger ratio, or Slim.quant")],
)
def test_compression_that_gains_nothing_is_said_with_what_would_help(precision, helps):
    line, _ = advice([DENSE, row("paddle", "dense", "bf16", 6.0), row("paddle", "exported", precision, 9.9)])
    assert line == (
        f"paddle (paddle, {precision}) is no faster than the dense model in FP32 (1.01 times): try BF16 (1.67 times, "
        f"without training), another engine in Slim.deploy.targets, {helps}"
    )


def test_what_to_deploy_is_said_though_compression_gains_nothing():
    line = advice([DENSE, row("paddle", "exported", "int8", 9.9)])[-1]
    assert line == (
        "deploy paddle (paddle, int8): the fastest here, 1.01 times dense FP32 in the same engine; the dense model "
        "in FP32 takes 10.000 ms (paddle)"
    )


def test_a_dense_model_that_is_faster_than_every_export_is_what_to_deploy():
    line = advice([DENSE, row("paddle", "dense", "bf16", 6.0), row("paddle", "exported", "int8", 9.9)])[-1]
    assert line == (
        "deploy the dense model in BF16 (paddle, 6.000 ms): no export is as fast; the fastest is paddle (paddle, "
        "int8), 9.900 ms, 1.01 times dense FP32 in the same engine"
    )


def test_an_export_whose_accuracy_does_not_hold_is_passed_over():
    rows = [DENSE, row("paddle", "exported", "int8", 4.0), row("openvino", "exported", "int8", 2.0, holds=False)]
    (line,) = advice(rows)
    assert line == (
        "deploy paddle (paddle, int8): the fastest here, 2.50 times dense FP32 in the same engine; openvino "
        "(openvino, int8) is faster, but its accuracy does not hold"
    )


def test_where_no_accuracy_holds_the_closest_export_is_named():
    rows = [DENSE, *(row(name, "exported", "int8", 4.0, top1=top1, holds=False) for name, top1 in CLOSE.items())]
    (line,) = advice(rows)
    assert line.startswith("deploy openvino (openvino, int8): the closest to the trained model, and not within")


@pytest.mark.parametrize(
    ("found", "warned", "holds"),
    [
        (Agreement(0.90, 0.97), False, True),  # 1 % of top-1 lost
        (Agreement(0.88, 0.99), False, False),
        (Agreement(None, 0.99), False, True),  # without labels predictions count
        (Agreement(None, 0.97), False, False),
        (Agreement(0.90, 0.99), True, False),  # the verified precision lost accuracy already
        (Agreement(None, None), False, False),  # features in another precision: not known
    ],
)
def test_accuracy_of_another_precision_holds_within_verify_threshold(found, warned, holds):
    verified = Verified({"warned": warned}, found=Agreement(0.91, 1.0))
    assert accuracy_holds(found, verified, 0.02, 1000) is holds


def test_one_other_prediction_of_few_samples_is_no_loss_of_accuracy():
    verified = Verified({}, found=Agreement(None, 1.0))
    assert accuracy_holds(Agreement(None, 31 / 32), verified, 0.02, 32)
    assert not accuracy_holds(Agreement(None, 30 / 32), verified, 0.02, 32)


def test_accuracy_that_was_verified_holds_unless_export_warned():
    for warned in (False, True):
        verified = Verified({"warned": warned}, found=Agreement(None, None))
        assert accuracy_holds(verified.found, verified, 0.02, 1000) is not warned


def test_a_dense_model_in_bf16_that_is_as_fast_is_mentioned():
    rows = [DENSE, row("paddle", "dense", "bf16", 5.0), row("paddle", "exported", "int8", 5.0)]
    assert advice(rows)[-1].endswith("in the same engine; the dense model in BF16 takes 5.000 ms (paddle)")


def test_of_a_dense_model_the_fastest_engine_is_named():
    rows = [row("paddle", "exported", "fp32", 10.0), row("onnx", "exported", "fp32", 8.0, dense=8.0)]
    assert advice(rows) == ["deploy onnx (onnx, fp32): the fastest here, 8.000 ms"]


def test_the_table_has_a_line_for_every_way():
    shown = table([DENSE, row("paddle", "exported", "int8", 4.0, top1=0.875)])
    assert "2.50 x" in shown
    assert "4.000 (3.600..4.800)" in shown
    assert max(map(len, shown.splitlines())) <= 120
    assert shown.count("87.50 %") == 2


def test_agreement_counts_equal_and_right_predictions():
    batches = [(np.eye(4)[[0, 1]], np.array([0, 1])), (np.eye(4)[[2, 3]], np.array([0, 3]))]
    turned = np.roll(np.eye(4), 1, axis=0)
    assert agreement(lambda x: x, lambda x: x, np.empty(0), batches, 100) == Agreement(0.75, 1.0)
    assert agreement(lambda x: x, lambda x: x @ turned, np.empty(0), batches, 100).same == 0.0
    assert agreement(lambda x: x, lambda x: x, np.eye(4), None, 100) == Agreement(None, 1.0)


class Engine:
    """Runs fp32; its bf16 fails for this model."""

    engine = "an engine"

    def precisions(self, folder, device="cpu"):
        return ("fp32", "bf16")

    def load(self, folder, device="cpu", threads=1, precision="auto"):
        if precision == "bf16" or folder.name == "broken":
            raise SlimError("no such kernel")
        return precision


def test_a_precision_that_an_engine_refuses_is_left_out(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(logger, "info", said.append)
    assert list(runners(Engine(), Path("here"))) == ["fp32"]
    assert said == ["ppcls_slim: an engine does not run here in bf16: no such kernel"]
    with pytest.raises(SlimError, match="no such kernel"):
        list(runners(Engine(), Path("broken")))
