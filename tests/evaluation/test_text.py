"""Texts are read as CTC does, and errors counted as Levenshtein does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from snapq.config import DataSource
from snapq.errors import DataError
from snapq.evaluation.datasets import open_dataset
from snapq.evaluation.metrics import metric
from snapq.evaluation.samples import Alphabet, Text
from snapq.evaluation.scores.text import distance
from snapq.graph.shapes import TensorSpec

ABC = Alphabet(("<blank>", "a", "b", " ", "é"), 0)


def _scores(classes: list[int], count: int = 5) -> np.ndarray:
    return np.eye(count, dtype=np.float32)[classes][None]


def _slow(found: str, wanted: str) -> int:
    if not found or not wanted:
        return len(found) + len(wanted)
    return min(
        _slow(found[1:], wanted) + 1,
        _slow(found, wanted[1:]) + 1,
        _slow(found[1:], wanted[1:]) + (found[0] != wanted[0]),
    )


@given(st.text("abc", max_size=5), st.text("abc", max_size=5))
def test_the_distance_is_the_least_number_of_edits(found: str, wanted: str) -> None:
    assert distance(found, wanted) == _slow(found, wanted)


def test_repetitions_count_once_unless_a_blank_parts_them() -> None:
    rate = metric("cer")
    rate.update({"y": _scores([1, 1, 0, 1, 2, 2, 4])}, Text("aabé", ABC))
    assert rate.value() == 0
    rate.update({"y": _scores([1, 1, 0, 2])}, Text("aabb", ABC))  # reads "ab"
    assert rate.value() == 2 / 8


def test_class_numbers_are_read_as_they_are_and_words_count_whole() -> None:
    rate = metric("wer")
    rate.update({"y": np.array([[1, 1, 3, 2, 0, 0]])}, Text("aa b", ABC))
    assert rate.value() == 0
    rate.update({"y": np.array([[1, 3, 2]])}, Text("aa  b", ABC))
    assert rate.value() == 1 / 4


def test_what_does_not_fit_is_told() -> None:
    with pytest.raises(DataError, match="needs a text, and the label is missing"):
        metric("cer").update({"y": _scores([1])}, None)
    with pytest.raises(DataError, match="has 4 classes, and the alphabet has 5"):
        metric("cer").update({"y": _scores([1], 4)}, Text("a", ABC))
    with pytest.raises(DataError, match="has class 9"):
        metric("cer").update({"y": np.array([[9]])}, Text("a", ABC))
    silent = metric("cer")
    silent.update({"y": _scores([0])}, Text("", ABC))
    with pytest.raises(DataError, match="No label has any text"):
        silent.value()


@pytest.fixture
def lines(tmp_path: Path) -> DataSource:
    """Two pictures with a text each; the blank is the last class."""
    (tmp_path / "lines").mkdir()
    for name in ("a.png", "b.png"):
        Image.new("RGB", (8, 8)).save(tmp_path / "lines" / name)
    (tmp_path / "text.csv").write_text('file,text\na.png,"a, b"\nb.png,\n', encoding="utf-8")
    (tmp_path / "alphabet.txt").write_text("a\nb\n \n,\n<blank>\n", encoding="utf-8")
    return DataSource(
        images=tmp_path / "lines",
        labels=tmp_path / "text.csv",
        alphabet=tmp_path / "alphabet.txt",
    )


INPUT = (TensorSpec("x", np.dtype(np.float32), (1, 3, 8, 8)),)


def test_texts_of_pictures_come_with_their_alphabet(lines: DataSource, tmp_path: Path) -> None:
    first, second = open_dataset(lines, INPUT, base=tmp_path, labelled=True)
    alphabet = Alphabet(("a", "b", " ", ",", "<blank>"), 4)
    assert first.label == Text("a, b", alphabet)
    assert second.label == Text("", alphabet)


def test_another_alphabet_is_another_data_set(lines: DataSource, tmp_path: Path) -> None:
    before = open_dataset(lines, INPUT, base=tmp_path).fingerprint()
    (tmp_path / "alphabet.txt").write_text("b\na\n \n,\n<blank>\n")
    assert open_dataset(lines, INPUT, base=tmp_path).fingerprint() != before


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("text.csv", "file,label\na.png,a\nb.png,b\n", "has to name the columns `file,text`"),
        ("text.csv", "file,text\na.png,a\n", "1 of 2 files have no row"),
        ("text.csv", "file,text\na.png,a\na.png,b\n", "second row"),
        ("text.csv", "file,text\na.png,a\nc.png,b\n", "There is no c.png"),
        ("text.csv", "file,text\na.png\n", "not as many columns"),
        ("alphabet.txt", "", "The alphabet is empty"),
        ("alphabet.txt", "<blank>\na\n<blank>\n", "several lines"),
    ],
)
def test_wrong_files_of_texts_are_told(
    lines: DataSource, tmp_path: Path, file: str, text: str, words: str
) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(DataError, match=words) as caught:
        open_dataset(lines, INPUT, base=tmp_path)
    assert file in str(caught.value.where)
    assert caught.value.hint


def test_an_alphabet_without_texts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="`alphabet` belongs to"):
        DataSource(images=tmp_path, alphabet=tmp_path / "a.txt")
