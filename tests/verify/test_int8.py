"""How close int8 and fake-quant are: in top-1 predictions of classes, or by cosine where there are features."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.common.errors import SlimError
from ppcls_slim.verify import int8 as int8_parity

pytestmark = pytest.mark.paddle26


def runs(fake, reference, int8):
    return {int8_parity.FAKE_QUANT: fake, int8_parity.REFERENCE: reference, int8_parity.INT8: int8}


def test_equal_top1_predictions_are_counted():
    fake = np.eye(4)
    other = fake[[0, 1, 2, 0]]
    found = int8_parity.top1_predictions(runs(fake, fake, other), np.array([0, 1, 2, 3]))
    assert found["runs"][int8_parity.REFERENCE] == {"top1": 1.0, "same_as_fake_quant": 1.0}
    assert found["runs"][int8_parity.INT8] == {"top1": 0.75, "same_as_fake_quant": 0.75}
    assert int8_parity.warning({**found, "source": "here"}, 0.3) is None
    assert "25.00 % of top-1 lost, 25.00 % other top-1 predictions" in int8_parity.warning(
        {**found, "source": "here"}, 0.2
    )


def test_features_are_compared_by_angle_and_not_by_length():
    fake = np.array([[1.0, 0.0], [0.0, 2.0]])
    found = int8_parity.features(runs(fake, 3 * fake, np.array([[1.0, 1.0], [0.0, 1.0]])), None)
    assert found["runs"][int8_parity.REFERENCE]["cosine"] == pytest.approx(1.0)
    int8 = found["runs"][int8_parity.INT8]
    assert int8["lowest"] == pytest.approx(np.sqrt(0.5))
    assert int8["cosine"] == pytest.approx((1 + np.sqrt(0.5)) / 2)
    assert "a mean cosine of 0.8536" in int8_parity.warning({**found, "source": "here"}, 0.02)


def test_recall_looks_at_the_nearest_other_sample():
    unit = np.array([[1.0, 0.0], [0.9, 0.1], [0.0, 1.0], [0.1, 0.9]])
    labels = np.array([0, 0, 1, 0])
    found = int8_parity.features(runs(unit, unit, unit), labels)
    assert found["runs"][int8_parity.INT8]["recall1"] == 0.5  # the last two are nearest to each other


def test_without_labels_there_is_no_accuracy_and_still_a_verdict():
    fake = np.eye(3)
    found = {**int8_parity.top1_predictions(runs(fake, fake, fake), None), "source": "noise"}
    assert int8_parity.accuracy_of(found, int8_parity.INT8) is None
    assert int8_parity.lines(found)[2] == "exported, int8: 100.00 % of top-1 predictions as fake-quant"
    assert int8_parity.warning(found, 0.0) is None


@pytest.mark.parametrize(("fake", "int8"), [(0.806, 0.375), (0.797, 0.1)])
def test_what_loses_a_fifth_of_top1_is_refused(fake, int8):
    """Top-1 of digits that were multiplied by 0.5 and by 3 between convolutions, before Paddle's fault was mended."""
    found = {"kind": int8_parity.TOP1, "samples": 360, "source": "digits"}
    found["runs"] = {int8_parity.FAKE_QUANT: {"top1": fake}, int8_parity.INT8: {"top1": int8}}
    with pytest.raises(SlimError, match=r"int8 is broken, it loses \d\d\.\d % of top-1 on 360 samples"):
        int8_parity.check(found, 0.02)
    int8_parity.check(found, 0.75)  # who knows it may export it
    int8_parity.check({**found, "samples": 10}, 0.02)  # too few to tell


def test_what_has_no_labels_or_loses_little_is_not_refused():
    found = {"kind": int8_parity.TOP1, "samples": 360, "source": "noise"}
    for before, after in ((None, None), (0.8, 0.65)):
        runs = {int8_parity.FAKE_QUANT: {"top1": before}, int8_parity.INT8: {"top1": after}}
        int8_parity.check({**found, "runs": runs}, 0.02)
