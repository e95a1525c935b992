"""Frontier and hypervolume, against their definitions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from snapq.searching.frontier import frontier, hypervolume, worst_of

POINTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=1, max_size=12)


@given(POINTS)
def test_the_frontier_is_what_no_other_point_beats(points: list[tuple[int, int]]) -> None:
    found = [point for _, point in frontier(enumerate(points))]
    unbeaten = {
        a for a in points if not any(b != a and b[0] <= a[0] and b[1] <= a[1] for b in points)
    }
    assert set(found) == unbeaten
    assert found == sorted(found)


@given(POINTS)
def test_the_hypervolume_is_the_area_that_the_points_cover(points: list[tuple[int, int]]) -> None:
    us, loss = np.meshgrid(np.arange(21) + 0.5, np.arange(21) + 0.5)
    covered = np.zeros_like(us, bool)
    for x, y in points:
        covered |= (us > x) & (loss > y)
    assert hypervolume([(float(x), float(y)) for x, y in points], (21.0, 21.0)) == covered.sum()


def test_points_beyond_the_worst_add_nothing() -> None:
    inside = [(1.0, 1.0)]
    assert hypervolume([*inside, (9.0, 0.0), (0.0, 9.0)], (3.0, 3.0)) == hypervolume(
        inside, (3.0, 3.0)
    )


def test_each_point_counts_against_the_worst_of_them() -> None:
    points = [(10.0, 0.1), (20.0, 0.0), (30.0, 0.4)]
    worst = worst_of(points)
    assert all(us < worst[0] and loss < worst[1] for us, loss in points)
