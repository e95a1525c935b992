"""Observers see everything, remember little, and never lose a count."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snapq.errors import ConfigError
from snapq.quantization.observers.base import observer, observer_names
from snapq.quantization.observers.histogram import StreamingHistogram

CHUNK = arrays(np.float32, st.integers(1, 30), elements=st.floats(-1e4, 1e4, width=32))


@given(st.lists(CHUNK, min_size=1, max_size=8))
def test_min_max_is_that_of_all_samples_together(chunks):
    watch = observer("min-max")()
    for chunk in chunks:
        watch.update(chunk)
    everything = np.concatenate(chunks)
    assert watch.range() == (everything.min(), everything.max())
    assert watch.statistics().count == everything.size


@given(st.lists(CHUNK, min_size=1, max_size=8))
def test_a_histogram_counts_each_value_once_in_its_bin(chunks):
    histogram = StreamingHistogram(bins=64)
    for chunk in chunks:
        histogram.update(chunk)
    everything = np.concatenate(chunks).astype(np.float64)
    seen = histogram.snapshot(bins=64)
    assert sum(seen.counts) == everything.size
    width = (seen.high - seen.low) / len(seen.counts)
    below = np.cumsum(seen.counts)
    for edge in range(1, len(seen.counts)):
        # An edge may lie a rounding error to either side of a value.
        at = seen.low + edge * width
        slack = width * 1e-3
        assert (everything < at - slack).sum() <= below[edge - 1] <= (everything < at + slack).sum()


def test_memory_of_a_histogram_does_not_grow_with_what_it_sees():
    histogram = StreamingHistogram(bins=64)
    for exponent in range(20):
        histogram.update(np.linspace(-(2.0**exponent), 3.0**exponent, 1000, dtype=np.float32))
    assert sum(histogram.snapshot().counts) == 20_000
    assert len(histogram.snapshot(bins=16).counts) <= 16


def test_a_tensor_that_is_always_the_same_has_a_histogram_too():
    histogram = StreamingHistogram(bins=64)
    for _ in range(3):
        histogram.update(np.full(10, 7.0, np.float32))
    seen = histogram.snapshot()
    assert sum(seen.counts) == 30
    assert seen.low <= 7.0 <= seen.high


def test_an_unknown_observer_is_refused_with_the_nearest_name():
    assert "min-max" in observer_names()
    with pytest.raises(ConfigError, match="Did you mean 'min-max'"):
        observer("minmax")
