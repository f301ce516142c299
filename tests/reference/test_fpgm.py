"""FPGM's reference against arithmetic, against PaddleSlim, and the deviations between the three sources."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.reference import fpgm


def test_distance_sums_of_three_points_on_a_line() -> None:
    weight = np.array([0.0, 1.0, 3.0]).reshape(3, 1, 1, 1)
    assert fpgm.distance_sums(weight).tolist() == [1 + 3, 1 + 2, 3 + 2]


def test_the_filter_at_the_geometric_median_scores_lowest() -> None:
    square = np.array([[1, 0], [-1, 0], [0, 1], [0, -1], [0, 0]], dtype=float).reshape(5, 2, 1, 1)
    scores = fpgm.distance_sums(square)
    assert scores.argmin() == 4
    assert scores[4] == 4.0


def test_duplicates_score_alike_and_a_single_filter_scores_zero() -> None:
    rng = np.random.default_rng(0)
    weight = rng.normal(size=(4, 3, 3, 3))
    weight[2] = weight[0]
    scores = fpgm.distance_sums(weight)
    assert scores[2] == pytest.approx(scores[0], rel=1e-14)
    assert fpgm.distance_sums(weight[:1]).tolist() == [0.0]


@pytest.mark.parametrize("size", [1e-200, 1e-30, 1.0, 1e30, 1e200])
def test_scores_are_proportional_to_the_size_of_the_weights(size: float) -> None:
    weight = np.random.default_rng(1).normal(size=(6, 2, 3, 3))
    expected = fpgm.distance_sums(weight) * size
    np.testing.assert_allclose(fpgm.distance_sums(weight * size), expected, rtol=1e-12)


def test_moving_all_filters_together_changes_norms_but_not_distances() -> None:
    weight = np.random.default_rng(2).normal(size=(6, 2, 3, 3))
    np.testing.assert_allclose(fpgm.distance_sums(weight + 5.0), fpgm.distance_sums(weight), rtol=1e-12)
    assert (fpgm.norms(weight + 5.0) > fpgm.norms(weight)).all()


def test_zeroed_filters_are_chosen_again() -> None:
    """Why the choice hardly ever changes after the first: zeros lie together, nearest to the median."""
    weight = np.random.default_rng(3).normal(size=(16, 16, 3, 3))
    first = fpgm.select(fpgm.distance_sums(weight), 6)
    weight *= fpgm.filter_mask(weight, first)
    again = fpgm.select(fpgm.distance_sums(weight), 6)
    assert again.tolist() == first.tolist()


def test_of_equal_scores_the_first_filters_go_first() -> None:
    assert fpgm.select(np.array([2.0, 1.0, 1.0, 1.0, 0.0]), 3).tolist() == [1, 2, 4]
    with pytest.raises(ValueError, match="cannot select 6 of 5"):
        fpgm.select(np.zeros(5), 6)


def test_authors_round_down_where_paddleslim_rounds_to_nearest() -> None:
    widths = (16, 32, 64)
    assert [fpgm.count_authors(n, 0.3) for n in widths] == [4, 9, 19]
    assert [fpgm.count_paddleslim(n, 0.3) for n in widths] == [5, 10, 19]


def test_paddleslim_always_leaves_a_filter_and_rounds_halves_to_even() -> None:
    assert fpgm.count_paddleslim(8, 1.0) == 7
    assert fpgm.count_authors(8, 1.0) == 8
    assert [fpgm.count_paddleslim(n, 0.5) for n in (1, 3, 5, 7)] == [0, 2, 2, 4]


def test_one_minus_the_kept_rate_loses_a_filter_to_binary_fractions() -> None:
    assert fpgm.count_authors_norm(10, 0.9) == 0
    assert fpgm.count_authors(10, 0.1) == 1


def test_mix_measures_distances_among_the_filters_that_the_norm_left() -> None:
    line = np.array([0.1, 5.0, 6.0, 7.0, 20.0]).reshape(5, 1, 1, 1)
    assert fpgm.select_mix(line, 1, 0).tolist() == [0]
    # Without 0.1 the sums are 1+2+15, 1+1+14, 2+1+13: 6 and 7 tie at 16, and 6 comes first.
    assert fpgm.select_mix(line, 1, 1).tolist() == [0, 2]
    assert fpgm.select_mix(line, 0, 2).tolist() == fpgm.select(fpgm.distance_sums(line), 2).tolist()


def test_groups_are_scored_by_the_mean_of_their_filters() -> None:
    weight = np.random.default_rng(4).normal(size=(6, 2, 3, 3))
    scores = fpgm.distance_sums(weight)
    expected = [scores[0:2].mean(), scores[2:4].mean(), scores[4:6].mean()]
    np.testing.assert_allclose(fpgm.paddleslim_scores(weight, groups=3), expected)


def test_a_masked_filter_still_moves_by_its_old_velocity_but_a_resting_zero_stays_zero() -> None:
    weight, velocity = np.array([0.0, 0.0]), np.array([1.0, 0.0])
    weight, _ = fpgm.sgd_step(weight, velocity, np.array([3.0, 3.0]), np.zeros(2), lr=0.1)
    assert weight.tolist() == pytest.approx([-0.1 * 0.9 * 0.9, 0.0])


def _paddleslim_class() -> type:
    pytest.importorskip("scipy", reason="SciPy is not installed")  # before Paddle 2.6: see upstream notes
    pytest.importorskip("paddle", reason="PaddlePaddle is not installed")
    module = pytest.importorskip(
        "paddleslim.dygraph.prune.fpgm_pruner", reason="PaddleSlim is not installed", exc_type=ImportError
    )
    return module.FPGMFilterPruner


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_paddleslim_computes_the_same_sums(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pruner = _paddleslim_class()
    monkeypatch.setattr(np, "product", np.prod, raising=False)  # gone since NumPy 2
    weight = np.random.default_rng(5).normal(size=(8, 4, 3, 3)).astype(dtype)
    sums = [pruner.get_distance_sum(None, weight, index) for index in range(8)]
    np.testing.assert_allclose(sums, fpgm.distance_sums(weight), rtol=1e-6 if dtype == "float32" else 1e-12)


def test_paddleslim_underflows_where_the_reference_does_not(monkeypatch: pytest.MonkeyPatch) -> None:
    pruner = _paddleslim_class()
    monkeypatch.setattr(np, "product", np.prod, raising=False)
    tiny = (np.random.default_rng(6).normal(size=(4, 2, 3, 3)) * 1e-25).astype("float32")
    assert [pruner.get_distance_sum(None, tiny, index) for index in range(4)] == [0.0] * 4
    assert (fpgm.distance_sums(tiny) > 0).all()
