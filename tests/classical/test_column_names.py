"""Columns that trees read have the names that the user gave them."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from skl2onnx import to_onnx
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from snapq.classical.column_names import column_names
from snapq.classical.model import ClassicalModel
from tests.classical.exports import data, forest, stump

ROWS, LABELS = data("wine")
ROWS = np.c_[np.round(ROWS[:, :1]), ROWS[:, 1:4]].astype(np.float32)
NAMES = {"X": ("grade", "acid", "ash", "alkali")}


def named(estimator: object, names: dict[str, tuple[str, ...]]) -> dict[int, str]:
    model: onnx.ModelProto = to_onnx(estimator.fit(ROWS, LABELS), ROWS[:1])  # type: ignore[attr-defined]
    (found,) = column_names(ClassicalModel.read(model), {"X": ROWS}, names).values()
    return found


@pytest.mark.parametrize("scaled", [False, True])
def test_columns_have_the_names_of_the_table(scaled: bool) -> None:
    steps = [StandardScaler()] if scaled else []
    assert named(make_pipeline(*steps, forest()), NAMES) == dict(enumerate(NAMES["X"]))


def test_without_a_table_they_are_named_after_the_input() -> None:
    assert named(stump(), {}) == {0: "X[0]", 1: "X[1]", 2: "X[2]", 3: "X[3]"}


def test_columns_of_a_category_have_its_name_and_mixtures_have_none() -> None:
    both = ColumnTransformer([("a", OneHotEncoder(), [0]), ("b", PCA(1), [2, 3])])
    found = named(make_pipeline(both, forest()), NAMES)
    grades = len(np.unique(ROWS[:, 0]))
    assert found == dict.fromkeys(range(grades), "grade")
