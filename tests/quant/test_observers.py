"""Observers: the histogram of the inputs, and the scales against searches over the inputs themselves."""

from __future__ import annotations

import numpy as np
import pytest

from ppcls_slim.compat.paddle import paddle
from ppcls_slim.config.quant import OBSERVERS, QuantConfig
from ppcls_slim.quant.observer import BINS, SMALLEST_SCALE, InputStatistics, Observer, input_range, observer_of
from ppcls_slim.quant.observers.kl import divergence

pytestmark = pytest.mark.paddle26


def statistics_of(*batches):
    statistics = InputStatistics(with_histogram=True)
    for batch in batches:
        statistics.observe(paddle.to_tensor(np.asarray(batch, np.float32)))
    return statistics


def scale(name, *batches, **keys):
    settings = QuantConfig(observer=name, **keys)
    return input_range(statistics_of(*batches), settings, observer_of(settings, trains=True)).input_scale


def quantization_error(values, largest, levels):
    step = largest / levels
    return float(np.square(values - np.clip(np.rint(values / step), -levels, levels) * step).mean())


@pytest.fixture
def batches():
    """Two batches, the second one larger, for which the histogram of the first one has to make room."""
    random = np.random.default_rng(0)
    return [random.laplace(0, 0.1, (8, 16, 100)), np.append(random.laplace(0, 0.3, 12_799), 6.0).reshape(8, 16, 100)]


def test_the_histogram_counts_every_magnitude_in_its_bin(batches):
    statistics = statistics_of(*batches)
    magnitudes = np.abs(np.float32(np.concatenate(batches)))
    expected = np.histogram(magnitudes, BINS, (0, BINS * statistics.width))[0]
    np.testing.assert_array_equal(statistics.counts, expected)
    assert BINS * statistics.width / 2 < magnitudes.max() <= BINS * statistics.width
    assert statistics.low == pytest.approx(min(batch.min() for batch in batches))


@pytest.mark.parametrize(
    ("bits", "values", "expected"),
    [(8, np.abs, "mse"), (8, np.asarray, "moving_average"), (4, np.abs, "mse"), (4, np.asarray, "mse")],
)
def test_without_a_word_the_alpha_that_pact_trains_clips_some_inputs_but_for_signed_int8(
    batches, bits, values, expected
):
    inputs = [values(batch) for batch in batches]
    assert scale("auto", *inputs, activation_bits=bits) == scale(expected, *inputs, activation_bits=bits)


def test_nothing_is_clipped_without_a_word_where_pact_does_not_train():
    others = [(QuantConfig(), False), (QuantConfig(name="qat"), True), (QuantConfig(name="lsq"), True)]
    for settings, trains in others:
        expected = observer_of(QuantConfig(observer="moving_average"), trains)
        assert observer_of(settings, trains=trains) is expected


def test_moving_average_is_what_there_was_before(batches):
    assert scale("moving_average", *batches) == pytest.approx(np.mean([np.abs(batch).max() for batch in batches]))


def test_min_max_clips_nothing(batches):
    assert scale("min_max", *batches) == pytest.approx(np.abs(np.concatenate(batches)).max())


@pytest.mark.parametrize("percentile", [90, 99.0, 99.9])
def test_percentile_is_that_of_the_magnitudes(batches, percentile):
    expected = np.percentile(np.abs(np.concatenate(batches)), percentile, method="inverted_cdf")
    found = scale("percentile", *batches, percentile=percentile)
    assert found == pytest.approx(expected, abs=statistics_of(*batches).width)


def test_the_100th_percentile_is_min_max(batches):
    assert scale("percentile", *batches, percentile=100.0) == pytest.approx(scale("min_max", *batches))


@pytest.mark.parametrize(("bits", "levels"), [(4, 7), (8, 127)])
def test_mse_has_the_least_error_of_all_scales(batches, bits, levels):
    values = np.concatenate(batches).reshape(-1)
    searched = np.abs(values).max() * np.linspace(0.01, 1, 1000)
    best = min(quantization_error(values, one, levels) for one in searched)
    found = quantization_error(values, scale("mse", *batches, activation_bits=bits), levels)
    assert found <= 1.01 * best
    assert found < 0.95 * quantization_error(values, np.abs(values).max(), levels)


def divergence_by_loops(counts, kept, levels):
    """Migacz's algorithm as his slides state it, bin by bin."""
    reference = [float(count) for count in counts[:kept]]
    reference[-1] += counts[kept:].sum()
    quantized = [0.0] * kept
    for level in range(levels):
        bins = range(level * kept // levels, (level + 1) * kept // levels)
        filled = [i for i in bins if counts[i] > 0]
        for i in filled:
            quantized[i] = sum(counts[j] for j in bins) / len(filled)
    total = 0.0
    for p, q in zip(reference, quantized):
        if p > 0 and q == 0:
            return float("inf")
        if p > 0:
            total += p / sum(reference) * np.log(p / sum(reference) / (q / sum(quantized)))
    return total


@pytest.mark.parametrize("kept", [8, 13, 30, 50])
def test_kl_divergence_is_that_of_the_slides(kept):
    counts = np.random.default_rng(1).poisson(np.geomspace(50, 0.3, 50)).astype(np.float64)
    counts[[7, 12, 29]] = 3
    counts[49] = 1
    assert divergence(counts, kept, 8) == pytest.approx(divergence_by_loops(counts, kept, 8))


def test_kl_clips_a_few_outliers_and_nothing_of_an_even_distribution():
    random = np.random.default_rng(0)
    bulk = random.uniform(0, 1, 100_000)
    assert scale("kl", bulk) == pytest.approx(1.0, abs=0.02)
    assert scale("kl", np.append(np.abs(random.normal(0, 1, 100_000)), [30.0])) < 10


@pytest.mark.parametrize("name", OBSERVERS.names())
def test_inputs_that_are_all_zero_have_a_scale(name):
    assert scale(name, np.zeros(10)) == SMALLEST_SCALE
    assert 0 < scale(name, np.zeros(10), np.full(10, 2.0)) <= 2.0  # and zeros before other inputs do no harm


@pytest.mark.parametrize("name", OBSERVERS.names())
def test_scales_are_in_proportion_to_the_inputs(name, batches):
    assert isinstance(OBSERVERS.get(name, Observer), Observer)
    assert scale(name, *(4 * batch for batch in batches)) == pytest.approx(4 * scale(name, *batches))
