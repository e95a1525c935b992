"""A table is read cell by cell, and what cannot be read is named by file, row and column."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from snapq.config import DataSource
from snapq.errors import DataError
from snapq.evaluation.datasets import Dataset, open_dataset
from snapq.evaluation.rows import class_numbers, in_batches, one_row, rows_of
from snapq.graph.shapes import TensorSpec

X = TensorSpec("x", np.dtype(np.float32), (1, 2))


def opened(folder: Path, text: str, *inputs: TensorSpec, **options: object) -> Dataset:
    (folder / "t.csv").write_text(text, encoding="utf-8")
    source = DataSource.model_validate({"table": "t.csv", **options})
    return open_dataset(source, inputs or (X,), base=folder, labelled="label" in options)


def refusal(folder: Path, text: str, *inputs: TensorSpec, **options: object) -> str:
    with pytest.raises(DataError) as caught:
        opened(folder, text, *inputs, **options)
    return str(caught.value)


def test_all_columns_but_the_label_feed_the_input_in_the_files_order(tmp_path: Path) -> None:
    data = opened(tmp_path, "a,y,b\n1,0,2.5\n-3,1,4e-3\n", label="y")
    rows = list(data)
    assert [row.label for row in rows] == [0, 1]
    np.testing.assert_array_equal(rows[1].feeds["x"], np.array([[-3, 4e-3]], np.float32))
    assert data.description == "2 rows of t.csv"


def test_columns_are_chosen_and_ordered_by_name(tmp_path: Path) -> None:
    data = opened(tmp_path, "a,b,c\n1,2,3\n", columns=["c", "a"])
    np.testing.assert_array_equal(next(iter(data)).feeds["x"], [[3, 1]])


def test_inputs_of_one_number_are_fed_by_the_columns_of_their_names(tmp_path: Path) -> None:
    age, size = (
        TensorSpec(name, np.dtype(kind), (1, 1))
        for name, kind in (("age", np.int64), ("size", np.float32))
    )
    row = next(iter(opened(tmp_path, "size,age\n0.5,7\n", age, size)))
    assert row.feeds["age"].item() == 7
    assert row.feeds["age"].dtype == np.int64
    assert row.feeds["size"].item() == 0.5


def test_labels_are_whole_numbers_numbers_or_texts(tmp_path: Path) -> None:
    for cells, wanted in (
        (("3", "-1"), (3, -1)),
        (("3.0", "1e2"), (3, 100)),
        (("3", "0.5"), (3.0, 0.5)),
        (("red", "2"), ("red", "2")),
    ):
        data = opened(tmp_path, f"a,b,y\n1,2,{cells[0]}\n1,2,{cells[1]}\n", label="y")
        assert tuple(row.label for row in data) == wanted


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=2, max_size=8))
def test_numbers_come_back_as_they_were_written(
    tmp_path_factory: pytest.TempPathFactory, values: list[float]
) -> None:
    folder = tmp_path_factory.mktemp("t")
    with (folder / "t.csv").open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows([["a", "b"], *((v, -v) for v in values)])
    data = open_dataset(DataSource(table="t.csv"), (X,), base=folder)
    found = np.concatenate([row.feeds["x"] for row in data])
    np.testing.assert_array_equal(found, np.array([(v, -v) for v in values], np.float32))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a,b\n1,2\n3,x\n", "t.csv:3: 'x' in column 'b' is not a number."),
        ("a,b\n1,1_0\n", "t.csv:2: '1_0' in column 'b' is not a number."),
        ("a,b\n1,2\n1\n", "t.csv:3: The row has 1 cells, and the first line names 2 columns."),
        ("a,b\n1,\n", "row 1: Column 'b' is empty here"),
        ("a,b\n1,inf\n", "row 1: Column 'b' holds inf here"),
        ("a,a\n1,2\n", "Two columns are named 'a'."),
        ("", "no first line with the names"),
        ("a,b\n", "It holds no row."),
        ("a\n1\n", "Input 'x' takes 2 columns, and 1 feed it."),
        ('a,b\n"1,2\n', "It is not a CSV in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_unknown_columns_are_refused_with_a_guess(tmp_path: Path) -> None:
    assert "Did you mean 'target'?" in refusal(tmp_path, "a,b,target\n1,2,0\n", label="targt")
    assert "has no column 'z'" in refusal(tmp_path, "a,b\n1,2\n", columns=["a", "z"])
    assert "has no label here" not in refusal(tmp_path, "a,b\n1,2\n", columns={"q": ["a"]})


def test_a_row_without_its_label_is_refused(tmp_path: Path) -> None:
    assert "Column 'y' has no label here." in refusal(tmp_path, "a,b,y\n1,2,\n", label="y")


def test_parquet_without_its_reader_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "t.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError) as caught:
        open_dataset(DataSource(table="t.parquet"), (X,), base=tmp_path)
    assert "pyarrow" in str(caught.value) or "cannot be read" in str(caught.value)


def test_values_may_be_missing_where_the_input_takes_them(tmp_path: Path) -> None:
    data = opened(tmp_path, "a,b\n,inf\nNaN,-inf\n", *one_row((X,)))
    found = np.concatenate([row.feeds["x"] for row in data])
    np.testing.assert_array_equal(found, [[np.nan, np.inf], [np.nan, -np.inf]])


def test_rows_become_batches_whose_last_one_repeats_its_last_row(tmp_path: Path) -> None:
    text = "a,b,y\n" + "".join(f"{row},{-row},{row}\n" for row in range(5))
    batches = list(in_batches(opened(tmp_path, text, label="y"), 3))
    assert [batch.rows for batch in batches] == [3, 2]
    np.testing.assert_array_equal(batches[1].feeds["x"], [[3, -3], [4, -4], [4, -4]])
    parts = list(rows_of(batches[1], {"y": batches[1].feeds["x"] * 2}))
    assert [label for _, label, _ in parts] == [3, 4]
    np.testing.assert_array_equal(parts[1][0]["y"], [[8, -8]])


def test_other_cells_are_another_data_set_and_the_same_ones_the_same(tmp_path: Path) -> None:
    prints = [
        opened(tmp_path, text, label="y").fingerprint()
        for text in ("a,b,y\n1,2,0\n", "a,b,y\n1,2,0\n", "a,b,y\n1,2,1\n", "a,b,y\n1,3,0\n")
    ]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 3


def test_a_network_of_several_rows_is_told_to_take_one(tmp_path: Path) -> None:
    several = TensorSpec("x", np.dtype(np.float32), (128, 2))
    assert "`x: [1, 2]`" in refusal(tmp_path, "a,b\n1,2\n", several)


@pytest.mark.parametrize("labels", [[-1, 1], ["no", "yes"], [[0.5, 1], [2, 3]]])
def test_labels_of_rows_in_arrays_are_classes_or_several_numbers(
    tmp_path: Path, labels: list[object]
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 2), np.float32))
    np.save(tmp_path / "y.npy", labels)
    source = DataSource(arrays="x.npy", labels="y.npy")
    data = in_batches(open_dataset(source, one_row((X,)), base=tmp_path, labelled=True), 2)
    (batch,) = data
    numbers = class_numbers(data)
    found = [label for _, label, _ in rows_of(batch, {"y": batch.feeds["x"]}, numbers)]
    np.testing.assert_array_equal(found, labels if isinstance(labels[0], list) else [0, 1])


def test_labels_are_numbered_as_the_models_classes(tmp_path: Path) -> None:
    texts = in_batches(opened(tmp_path, "a,b,y\n1,2,c\n3,4,a\n", label="y"), 2)
    assert class_numbers(texts, ("a", "b", "c"))["c"] == 2
    numbers = in_batches(opened(tmp_path, "a,b,y\n1,2,3\n3,4,1\n", label="y"), 2)
    assert class_numbers(numbers, (1, 2, 3)) == {1: 0, 2: 1, 3: 2}


@pytest.mark.parametrize("known", [(0, 1), ("no", "yes")])
def test_labels_that_the_model_does_not_know_are_refused(
    tmp_path: Path, known: tuple[object, ...]
) -> None:
    text = "a,b,y\n1,2,1\n3,4,0\n3,4,maybe\n"
    with pytest.raises(DataError, match="'maybe' is none of the model's classes"):
        class_numbers(in_batches(opened(tmp_path, text, label="y"), 3), known)
