from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from snapq.benchmarking.statistics import (
    doubts,
    no_claim,
    speedup,
    speedup_interval,
    uneven_counts,
)
from snapq.benchmarking.targets.results import latency_of

latencies = arrays(
    np.float64, st.tuples(st.integers(2, 12), st.integers(1, 6)), elements=st.floats(0.01, 1e4)
)


@given(latencies)
def test_the_summary_is_ordered(samples: np.ndarray) -> None:
    found = latency_of(samples)
    assert found.min <= found.p50 <= found.p90 <= found.p99 <= found.max
    assert found.min * 0.999 <= found.mean <= found.max * 1.001


@settings(deadline=None, max_examples=20)
@given(latencies, st.floats(0.1, 10))
def test_a_model_that_is_always_n_times_as_fast_has_a_speedup_of_n_and_no_doubt(
    samples: np.ndarray, factor: float
) -> None:
    assert speedup(samples * factor, samples) == pytest.approx(factor)
    assert speedup_interval(samples * factor, samples) == pytest.approx((factor, factor))


def test_the_interval_holds_the_true_ratio_nineteen_times_in_twenty() -> None:
    random = np.random.default_rng(1)
    trials, held = 40, 0
    for _ in range(trials):
        weather = random.lognormal(0, 0.1, (30, 1))  # what slows a whole round down
        baseline = 2.0 * weather * random.lognormal(0, 0.1, (30, 4))
        candidate = 1.0 * weather * random.lognormal(0, 0.1, (30, 4))
        low, high = speedup_interval(baseline, candidate) or (0.0, 0.0)
        held += low <= 2.0 <= high
    assert held >= 0.88 * trials


def test_one_round_gives_no_interval() -> None:
    assert speedup_interval(np.ones((1, 9)), np.ones((1, 9))) is None


def test_steady_samples_raise_no_doubt() -> None:
    samples = np.random.default_rng(0).normal(10, 0.1, (50, 4))
    assert [*doubts("float", samples), *no_claim(samples)] == []


@pytest.mark.parametrize(
    ("samples", "word"),
    [
        (np.full((20, 2), 1.0), "only 40 runs"),
        (np.full((5, 40), 1.0), "only 5 rounds"),
        (np.where(np.arange(200) % 5 == 0, 3.0, 1.0).reshape(20, 10), "spread is wide"),
        (np.repeat([1.0, 1.2], 100).reshape(20, 10), "changed speed"),
    ],
)
def test_weak_evidence_is_told(samples: np.ndarray, word: str) -> None:
    assert any(word in text for text in (*doubts("float", samples), *no_claim(samples)))


def test_few_runs_a_wide_spread_and_a_change_of_speed_are_no_claim() -> None:
    wide = np.where(np.arange(200) % 5 == 0, 3.0, 1.0).reshape(20, 10)
    changed = np.repeat([1.0, 1.2], 100).reshape(20, 10)
    for samples in (np.full((20, 2), 1.0), wide, changed):
        assert len(list(no_claim(samples))) == 1


def test_counts_that_differ_by_more_than_counts_do_are_remarked() -> None:
    assert list(uneven_counts("w8a8", np.array([[75.0], [75.02], [75.01]]))) == []
    (said,) = uneven_counts("w8a8", np.array([[75.0], [80.0], [75.01]]))
    assert "w8a8: the counts of its runs differ by 6.7%" in said
