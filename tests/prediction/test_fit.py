"""benchmarks.prediction: a line over estimates, and what it is worth for unseen networks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.prediction import fit
from benchmarks.prediction.figures import Case


def cases(
    count: int,
    *,
    seed: int = 0,
    noise: float = 0.05,
    per_mb: float = 0.0,
    per_gmac: float = 0.0,
    outliers: int = 0,
    least: float = 2.0,
) -> list[Case]:
    """Networks measured as 200 us + 1.1 x estimate + what boundary and MACs take, with noise.

    Estimates are of 10^`least` to 10^5 us.
    """
    draw = np.random.default_rng(seed)
    made = []
    for index in range(count):
        estimate, boundary = float(10 ** draw.uniform(least, 5)), float(draw.uniform(0.1, 10))
        gmac = estimate * float(draw.uniform(0.1, 2)) / 1000
        us = 200 + 1.1 * estimate + per_mb * boundary + per_gmac * gmac
        us *= float(np.exp(draw.normal(0, noise)))
        us *= 6 if index < outliers else 1
        kind = "convolutional"
        made.append(Case(str(index), us, estimate, boundary, 1.0, kind, gmac, 100, 0.0))
    return made


def test_networks_that_are_six_times_slower_do_not_bend_the_line() -> None:
    line = fit.fit(cases(40, outliers=4))
    assert line.offset_us == pytest.approx(200, rel=0.15)
    assert line.factor == pytest.approx(1.1, rel=0.05)


def test_nothing_is_taken_off_for_a_larger_network() -> None:
    line = fit.fit(cases(30, per_mb=-3.0), ("boundary_mb",))
    assert line.terms == {}


def test_a_term_is_kept_only_where_it_predicts_unseen_networks() -> None:
    assert fit.best_terms(cases(24)) == ()
    assert "boundary_mb" in fit.best_terms(cases(24, per_mb=300.0))


def test_a_chip_with_fewer_multipliers_is_told_from_one_that_is_slower() -> None:
    slower = cases(24, per_gmac=2000.0)
    assert fit.best_terms(slower) == ("gmac",)
    assert fit.fit(slower, ("gmac",)).terms["gmac"] == pytest.approx(2000, rel=0.1)


def test_networks_of_another_precision_tell_what_a_call_takes() -> None:
    large = cases(8, least=4.0, noise=0.02)
    call = fit.call_of(cases(30, seed=1, noise=0.02))
    assert call is not None
    assert call.us == pytest.approx(200, rel=0.05)
    assert fit.fit(large, (), call.us).offset_us == pytest.approx(200, rel=0.1)


def test_a_network_is_left_out_with_others_of_the_same_graph() -> None:
    known = cases(20)
    slow = replace(known[0], network="twin", measured_us=3 * known[0].measured_us)
    alone, *_ = fit.left_out(known)
    beside, *_ = fit.left_out([*known, slow])
    assert beside == pytest.approx(alone, rel=1e-6)


def test_an_estimate_far_too_high_does_not_bend_the_line() -> None:
    known = cases(40)
    high = [replace(known[0], estimate_us=known[0].estimate_us * 7), *known[1:]]
    line = fit.fit(high)
    assert line.offset_us == pytest.approx(200, rel=0.15)
    assert line.factor == pytest.approx(1.1, rel=0.05)


def test_a_term_may_help_beside_another_alone() -> None:
    known = [
        replace(case, nodes=100 + index * 37 % 300)
        for index, case in enumerate(cases(36, noise=0.02, per_gmac=1000.0))
    ]
    known = [replace(case, measured_us=case.measured_us + 5 * case.nodes) for case in known]
    assert set(fit.best_terms(known)) == {"gmac", "nodes"}


def test_the_interval_holds_four_of_five_unseen_networks() -> None:
    unseen = cases(500, seed=99, noise=0.2)
    inside = []
    for seed in range(8):
        known = cases(40, seed=seed, noise=0.2)
        line, (low, high) = fit.fit(known), fit.interval(fit.left_out(known))
        ratios = [case.measured_us / line.us(case) for case in unseen]
        inside.append(np.mean([low <= ratio <= high for ratio in ratios]))
    assert np.mean(inside) == pytest.approx(0.8, abs=0.05)


def test_few_networks_give_a_wider_interval_than_they_span() -> None:
    low, high = fit.interval(np.array([0.8, 0.9, 1.0, 1.1, 1.2, 1.3]))
    assert low < 0.8
    assert high > 1.3
