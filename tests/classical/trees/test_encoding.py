"""Bytes keep the order of float32 values, and ranks are those that a search finds."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapq.classical.program import Program, Step
from snapq.classical.program.steps.tree_encoding import ordered_bits
from snapq.classical.trees import encoding, rank_table
from snapq.classical.trees.forest import gather
from tests.classical.trees.forests import Kind, estimator

floats = st.floats(width=32, allow_nan=False)
LOW_NAN = np.ones(1, np.bool_)


@given(st.lists(floats, min_size=2, max_size=2))
def test_ordered_bits_compare_as_floats_do(pair: list[float]) -> None:
    a, b = np.array(pair, np.float32)[:, None]
    assert (ordered_bits(a[None], LOW_NAN) <= ordered_bits(b[None], LOW_NAN)) == (a <= b)


@given(
    thresholds=st.lists(floats, min_size=1, max_size=600, unique=True),
    scale=st.sampled_from([1.0, 1e-30, 1e30]),
    seed=st.integers(0, 99),
)
def test_ranks_are_those_of_a_search(thresholds: list[float], scale: float, seed: int) -> None:
    with np.errstate(over="ignore"):
        distinct = np.unique(np.array(thresholds, np.float32) * np.float32(scale))
    other = np.unique(np.random.default_rng(seed).standard_cauchy(300).astype(np.float32))
    columns = [distinct, other]
    beside = [np.nextafter(distinct, np.float32(way)) for way in (-np.inf, np.inf)]
    values = np.concatenate([distinct, *beside, [np.inf, -np.inf, 0, -0.0]]).astype(np.float32)
    rows = np.stack([values, np.resize(other, len(values))], 1)
    for buckets in (64, 1024):
        for make in (rank_table.equal_widths, rank_table.equal_bits):
            table = make(columns, buckets)
            arrays = {
                "features": np.arange(2, dtype=np.int32),
                "nan_true": np.zeros(2, np.bool_),
                **table.arrays,
            }
            step = Step("tree_ranks", ("x",), ("y",), {**table.attributes, "single": 0}, arrays)
            given_back = Program(("x",), ("y",), (step,)).run({"x": rows})["y"].astype(int)
            ranks = given_back[:, :2] * 128 + given_back[:, 2:]
            for column in (0, 1):
                wanted = np.searchsorted(columns[column], rows[:, column])
                np.testing.assert_array_equal(ranks[:, column], wanted)


def test_ranks_of_nan_are_below_or_above_all_thresholds() -> None:
    forest = gather([estimator(1, Kind(nan_both=True, features=1))])
    steps = made(encoding.ranks(forest)).steps
    ranks = Program(("rows",), ("tree_columns.0",), steps).run(
        {"rows": np.array([[np.nan]], np.float32)}
    )["tree_columns.0"][0]
    tops = [sum(c.column == at for c in forest.conditions) for at in range(len(forest.columns))]
    wanted = [
        0 if column.nan_true else top for column, top in zip(forest.columns, tops, strict=True)
    ]
    assert ranks.tolist() == wanted


@pytest.mark.parametrize("value", [0.5, -1.25, 1e-45, float("inf")])
def test_what_is_no_integer_is_refused_by_name(value: float) -> None:
    forest = gather([estimator(1, Kind(features=1, thresholds=(3.5, 7.5)))])
    program = Program(("rows",), ("tree_columns.0",), made(encoding.integers(forest)).steps)
    with pytest.raises(ValueError, match=r"'rows' holds .* in column 0, which is no integer"):
        program.run({"rows": np.array([[value]], np.float32)})


def made(found: encoding.Encoding | None) -> encoding.Encoding:
    assert found is not None
    return found
