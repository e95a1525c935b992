"""Measurements of a user's own board move predictions, few of them carefully."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from snapq.prediction.calibration import LEAST, Calibration, Pair, calibrate

PUBLISHED = (300.0, 600.0, 1200.0, 2500.0, 5000.0, 9000.0, 20_000.0)
SPREAD = math.log(1.12 / 0.9) / 2


def pairs(offset: float, factor: float, count: int = 7, noise: float = 0.0) -> list[Pair]:
    random = np.random.default_rng(0)
    return [
        Pair(us, (offset + factor * us) * math.exp(noise * random.normal()), SPREAD)
        for us in PUBLISHED[:count]
    ]


def found(given: list[Pair]) -> Calibration:
    calibration = calibrate("bench-1", given)
    assert calibration is not None
    return calibration


def test_fewer_than_three_models_calibrate_nothing() -> None:
    assert calibrate("bench-1", pairs(0, 1.3, LEAST - 1)) is None
    assert found(pairs(0, 1.3, LEAST)).models == LEAST


@given(factor=st.floats(0.3, 3.0), offset=st.floats(0, 100))
@settings(max_examples=50, deadline=None)
def test_a_boards_own_line_is_found(factor: float, offset: float) -> None:
    made = found(pairs(offset, factor))
    for us in PUBLISHED[1:]:
        assert made.us(us) == pytest.approx(offset + factor * us, rel=0.12)


def test_a_board_like_the_published_ones_stays_where_it_is_and_its_interval_shrinks() -> None:
    made = found(pairs(0, 1.0, noise=0.01))
    assert made.us(1000) == pytest.approx(1000, rel=0.02)
    assert made.spread < SPREAD


def test_one_measurement_that_stands_apart_moves_little_and_widens_the_interval() -> None:
    plain = pairs(0, 1.1, noise=0.01)
    odd = [*plain[:-1], Pair(PUBLISHED[6], 4 * PUBLISHED[6], SPREAD)]
    assert found(odd).us(1200) == pytest.approx(found(plain).us(1200), rel=0.05)
    assert found(odd).spread > 2 * found(plain).spread


def test_intervals_hold_as_many_further_models_as_they_say() -> None:
    random, inside = np.random.default_rng(1), 0
    sigma = SPREAD / 1.2816
    for _ in range(300):
        board = 1.15 * math.exp(0.03 * random.normal())
        given = [
            Pair(us, board * us * math.exp(sigma * random.normal()), SPREAD) for us in PUBLISHED
        ]
        made = found(given[:-1])
        error = math.log(given[-1].measured_us / made.us(given[-1].published_us))
        inside += abs(error) <= made.spread
    assert 0.75 <= inside / 300 <= 0.92
