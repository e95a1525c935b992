"""Observers see everything, remember little, never lose a count, and choose sensible ranges."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snapq.config import QuantizeConfig
from snapq.errors import ConfigError
from snapq.precision import ObserverName
from snapq.quantization.calibration.digest import digest
from snapq.quantization.calibration.observers.activation_mse import ActivationMse
from snapq.quantization.calibration.observers.base import observer, observer_names
from snapq.quantization.calibration.observers.collector import Collector
from snapq.quantization.calibration.observers.entropy import RunningSums
from snapq.quantization.calibration.observers.percentile import Percentile
from snapq.quantization.encodings import QuantType, asymmetric, dequantize, quantize
from snapq.stages.quantize.job import recipe

U8 = QuantType.UINT8
CHUNK = arrays(np.int32, st.integers(1, 30), elements=st.integers(-640_000, 640_000)).map(
    lambda counts: (counts / 64).astype(np.float32)
)
CHUNKS = st.lists(CHUNK, min_size=1, max_size=8)


def collected(*chunks):
    seen = Collector()
    for chunk in chunks:
        told = digest(np.asarray(chunk, np.float32))
        seen.update(told.minimum, told.maximum, told.count, told.picks)
    return seen


def spread(shape, seed=0):
    """Much near zero, little far out: what activations look like."""
    return np.random.default_rng(seed).standard_t(3, shape).astype(np.float32)


def error(values, limits, dtype=U8):
    encoding = asymmetric(*limits, dtype)
    return float(np.square(values - dequantize(quantize(values, encoding), encoding)).mean())


@given(CHUNKS)
def test_min_max_is_that_of_all_samples_together(chunks):
    everything = np.concatenate(chunks)
    seen = collected(*chunks)
    assert observer("min-max").range(seen, U8) == (everything.min(), everything.max())
    assert seen.statistics().count == everything.size


@given(CHUNKS)
def test_a_histogram_counts_each_value_once_in_its_bin(chunks):
    seen = collected(*chunks)
    everything = np.concatenate(chunks)
    lower, upper, counts = seen.bins()
    assert counts.sum() == everything.size
    for low, high, count in zip(lower, upper, counts, strict=True):
        assert ((everything >= low) & (everything <= high)).sum() >= count
    assert ((upper - lower) <= np.abs(upper + lower) / 2 / 32).all()


@given(CHUNKS)
def test_the_order_of_samples_does_not_matter(chunks):
    there, back = collected(*chunks), collected(*chunks[::-1])
    assert there.statistics() == back.statistics()


@given(CHUNKS, st.integers(1, 40))
def test_no_count_is_lost_in_the_picture_for_the_reader(chunks, bins):
    histogram = collected(*chunks).statistics(bins).histogram
    assert sum(histogram.counts) == sum(chunk.size for chunk in chunks)
    assert len(histogram.counts) <= bins
    assert min(histogram.counts) >= 0


def test_every_observer_can_be_named_in_the_yaml():
    assert set(ObserverName) == set(observer_names())


@pytest.mark.parametrize("percent", [60.0, 95.0, 99.9, 100.0])
def test_a_percentile_keeps_its_share_of_the_values_inside(percent):
    values = spread(200_000)
    seen = collected(*np.split(values, 50))
    low, high = Percentile(percent).range(seen, U8)
    beyond = (100 - percent) / 200 * values.size
    assert (values < low).sum() == pytest.approx(beyond, rel=0.1, abs=3)
    assert (values > high).sum() == pytest.approx(beyond, rel=0.1, abs=3)


@pytest.mark.parametrize("percent", [50.0, 100.1, float("nan")])
def test_a_percentile_without_sense_is_refused(percent):
    with pytest.raises(ConfigError, match="above 50 and at most 100"):
        Percentile(percent)


@pytest.mark.parametrize("percent", [99.99999, 99.999999999, 100.0])
def test_a_percentile_of_the_yaml_keeps_all_its_digits(percent):
    options = QuantizeConfig(observer={"percentile": percent})
    assert recipe(options).observers == (Percentile(percent),)


@pytest.mark.parametrize("name", observer_names())
@settings(max_examples=15)
@given(CHUNKS)
def test_a_range_lies_within_what_was_seen(name, chunks):
    everything = np.append(np.concatenate(chunks), 0)
    low, high = observer(name).range(collected(*chunks), U8)
    slack = 1e-6 + 1e-4 * (everything.max() - everything.min())
    assert everything.min() - slack <= low <= high <= everything.max() + slack


@pytest.mark.parametrize("name", observer_names())
def test_a_tensor_without_values_or_of_one_value_has_a_range_too(name):
    assert observer(name).range(Collector(), U8) == (0.0, 0.0)
    low, high = observer(name).range(collected(np.full(10, 7.0)), U8)
    assert low <= 7.0 <= high


def test_auto_is_about_as_good_as_the_best_of_the_others():
    values = spread(100_000)
    seen = collected(*np.split(values, 20))
    errors = {name: error(values, observer(name).range(seen, U8)) for name in observer_names()}
    assert errors["auto"] < 1.1 * min(errors.values())


def test_mse_finds_the_range_that_exhaustive_search_finds():
    values = np.maximum(spread(8192, seed=3), 0)
    found = error(values, observer("mse").range(collected(values), U8))
    best = min(error(values, (0.0, values.max() * share)) for share in np.linspace(0.02, 1, 200))
    assert found < 1.05 * best


def test_sqnr_clips_less_than_mse():
    seen = collected(*np.split(spread(100_000), 20))
    assert observer("sqnr").range(seen, U8)[1] > observer("mse").range(seen, U8)[1]


def test_no_observer_clips_what_16_bits_can_hold():
    values = np.random.default_rng(0).normal(size=10_000).astype(np.float32)
    seen = collected(values)
    for name in ("mse", "sqnr", "entropy", "auto"):
        high = observer(name).range(seen, QuantType.UINT16)[1]
        assert high == pytest.approx(values.max(), rel=0.02)


def test_percentile_is_that_of_numpy():
    values = spread(160_000)
    low, high = Percentile().range(collected(*np.split(values, 20)), U8)
    assert low == pytest.approx(np.percentile(values, 0.005), rel=0.1)
    assert high == pytest.approx(np.percentile(values, 99.995), rel=0.1)


@pytest.mark.parametrize("mask", [-1e4, -65504.0, -3.4e38, -np.inf])
def test_masked_logits_do_not_wreck_a_range(mask):
    values = np.random.default_rng(0).normal(size=1000).astype(np.float32) * 5
    seen = collected(np.append(values, np.float32(mask)))
    low, high = seen.unmasked()
    assert (low, high) == pytest.approx((values.min(), values.max()), rel=0.02)


def test_large_values_that_are_no_mask_stay():
    assert collected(spread(100_000) * 100).unmasked() is None
    assert collected(np.full(5, -1e6)).unmasked() is None


def test_an_unknown_observer_is_refused_with_the_nearest_name():
    assert "min-max" in observer_names()
    with pytest.raises(ConfigError, match="Did you mean 'min-max'"):
        observer("minmax")


@pytest.mark.filterwarnings("error")
def test_entropy_of_nothing_but_piles_keeps_them_all():
    values = np.repeat(np.array([0.0, 1.0], np.float32), 500)
    assert observer("entropy").range(collected(values), U8) == (0.0, 1.0)


@pytest.mark.parametrize("limit", [6.0, np.inf])
def test_entropy_keeps_its_range_when_nine_of_ten_values_are_zero(limit):
    values = np.random.default_rng(0).normal(-4, 3, 200_000).clip(0, limit).astype(np.float32)
    _, high = observer("entropy").range(collected(values), U8)
    assert high > 0.75 * float(values.max())


@given(st.integers(0, 2**32 - 1))
def test_divergence_from_running_sums_is_that_of_the_definition(seed):
    random = np.random.default_rng(seed)
    counts = random.poisson(random.uniform(0, 3, 2048) * (random.random(2048) > 0.6))
    first = int(random.integers(0, 900))
    last = int(random.integers(first + 256, 2049))
    truth = counts[first:last].astype(np.float64)
    level = np.searchsorted((np.arange(256) * truth.size) // 256, np.arange(truth.size), "right")
    mass = np.bincount(level, truth, 257)
    truth[0] += counts[:first].sum()
    truth[-1] += counts[last:].sum()
    told = mass[level] / np.maximum(np.bincount(level, truth > 0, 257)[level], 1)
    p, q = truth / truth.sum(), np.where(truth > 0, told, 0) / told[truth > 0].sum()
    seen, both = p > 0, (p > 0) & (q > 0)
    wanted = (p[both] * np.log(p[both] / q[both])).sum() + 50 * p[seen & (q == 0)].sum()
    assert RunningSums(counts).divergence(first, last, 256) == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("seed", range(4))
def test_activation_mse_errs_less_behind_the_activation_than_mse(seed):
    values = 8 * spread(4000, seed) - 4

    def silu(x):
        return x / (1 + np.exp(-np.clip(x, -80, 80)))

    def behind(limits):
        encoding = asymmetric(*limits, U8)
        held = dequantize(quantize(values, encoding), encoding)
        return float(np.square(silu(values) - silu(held)).mean())

    seen = collected(values)
    found = behind(ActivationMse().range_behind(seen, U8, silu))
    assert found < 0.7 * behind(observer("mse").range(seen, U8))
    assert found < 0.7 * behind(observer("min-max").range(seen, U8))
