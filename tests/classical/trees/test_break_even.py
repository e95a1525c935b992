"""From how many rows on the NPU wins: where the CPU takes longer than call, estimate and host."""

from __future__ import annotations

import pytest

from snapq.classical.trees import OnDevice, rows_to_win
from snapq.devices.profiles import find
from tests.classical.trees.forests import Kind, estimator

pytestmark = pytest.mark.npu
COST = {"call_us": 250.0, "worth": 1.5}


def small_forest() -> OnDevice:
    return OnDevice([estimator(0, Kind(trees=20))], find("qcs9075"), "limbs")


def test_a_cpu_that_takes_less_than_a_call_always_wins() -> None:
    assert rows_to_win(small_forest(), lambda rows: 0.05 * rows, **COST) is None


def test_the_npu_wins_where_the_cpu_takes_half_again_as_long() -> None:
    # 64 rows: 448 us, more than 1.5 x 250, and more than 1.5 times 250 + 10 + 20 as well.
    assert rows_to_win(small_forest(), lambda rows: 7.0 * rows, **COST) == 64


def test_numbers_of_rows_up_to_a_known_one_are_not_asked_about() -> None:
    assert rows_to_win(small_forest(), lambda rows: 7.0 * rows, beyond=100, **COST) == 128
