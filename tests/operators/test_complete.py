"""Each operator that is quantized can be trained and pruned, or it says here why not."""

from __future__ import annotations

import pytest

from snapq.operators import TABLE
from snapq.pruning.rules import RULES
from snapq.training.operators import OPERATORS

QUANTIZED = {name for name, row in TABLE.items() if row.encodings is not None}
NOT_TRAINED: dict[str, str] = {}
NOT_PRUNED = {
    "GatherElements": "each element of the output comes from a place of its own",
    "ScatterElements": "each element of the output comes from a place of its own",
    "GridSample": "samples of both axes lie at computed places",
    "LRN": "each channel is divided by what lies in its neighbours",
}


@pytest.mark.parametrize(
    ("table", "without"), [(OPERATORS, NOT_TRAINED), (RULES, NOT_PRUNED)], ids=["train", "prune"]
)
def test_what_is_quantized_can_be_trained_and_pruned(
    table: dict[str, object], without: dict[str, str]
) -> None:
    assert QUANTIZED - set(table) == set(without)


@pytest.mark.parametrize("table", [OPERATORS, RULES], ids=["train", "prune"])
def test_what_is_trained_or_pruned_is_in_the_table(table: dict[str, object]) -> None:
    assert set(table) <= set(TABLE)
