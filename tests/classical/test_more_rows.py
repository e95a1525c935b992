"""Where the NPU does not pay, the advice says from how many rows at once it does."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sklearn import ensemble

from snapq.classical.advice import Advice
from snapq.classical.model import ClassicalModel
from snapq.classical.more_rows import rows_for_the_npu
from snapq.devices.profiles import find
from snapq.npu.model import Memory
from tests.classical.exports import sklearn

FEW = Advice(rows=8, cpu_us=20, npu_us=5, host_us=20)


def fewest(trees: int, known: Advice = FEW) -> int | None:
    made = sklearn(ensemble.RandomForestClassifier(trees, random_state=0), "cancer")
    model = ClassicalModel.read(made)
    return rows_for_the_npu(model, model.estimators, find("qcs9075"), known, Memory())


@pytest.mark.npu
@pytest.mark.slow
def test_a_large_forest_wins_from_some_hundred_rows_on() -> None:
    found = fewest(200, replace(FEW, rows=300))
    assert found is not None
    assert 512 <= found <= 2048


@pytest.mark.npu
def test_a_few_trees_stay_on_the_cpu_and_where_the_npu_wins_already_nothing_is_asked() -> None:
    assert fewest(3) is None
    assert fewest(200, replace(FEW, cpu_us=1e6)) is None


def test_the_sentence_names_the_number() -> None:
    assert replace(FEW, wins_from=256).sentence.endswith(
        "From about 256 rows at once on the NPU wins."
    )
    assert FEW.sentence.endswith("More rows at once are what the NPU is for.")
