"""Arrays become samples without being loaded whole, and what does not fit is refused."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from snapq.config import DataSource
from snapq.errors import DataError, SnapqError
from snapq.evaluation.datasets import Sample, open_dataset
from snapq.graph.shapes import TensorSpec

Inputs = tuple[TensorSpec, ...]


def spec(name: str, *shape: int, dtype: str = "float32") -> TensorSpec:
    return TensorSpec(name, np.dtype(dtype), shape)


AUDIO = (spec("audio", 1, 6), spec("state", 2, 1, 3))
ONE = (spec("x", 1, 4),)


def samples(base: Path, inputs: Inputs, **source: object) -> list[Sample]:
    return list(open_dataset(DataSource(**source), inputs, base=base))


def refusal(base: Path, inputs: Inputs, labelled: bool = False, **source: object) -> SnapqError:
    with pytest.raises(DataError) as caught:
        list(open_dataset(DataSource(**source), inputs, base=base, labelled=labelled))
    assert caught.value.hint, "every refusal says how to mend it"
    return caught.value


@pytest.mark.parametrize("shape", [(5, 4), (5, 1, 4)])
def test_a_file_holds_its_samples_along_the_first_axis(
    tmp_path: Path, shape: tuple[int, ...]
) -> None:
    values = np.arange(20, dtype=np.float32).reshape(shape)
    np.save(tmp_path / "x.npy", values)
    found = samples(tmp_path, ONE, arrays="x.npy")
    assert [sample.feeds["x"].shape for sample in found] == [(1, 4)] * 5
    np.testing.assert_array_equal(
        np.concatenate([sample.feeds["x"] for sample in found]), values.reshape(5, 4)
    )
    chosen = open_dataset(DataSource(arrays="x.npy", samples=2), ONE, base=tmp_path)
    assert [sample.feeds["x"][0, 0] for sample in chosen] == [0, 8]
    assert chosen.description == "2 of 5 samples of x.npy"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_npz_holds_a_key_for_each_input(tmp_path: Path, save: object) -> None:
    audio = np.random.default_rng(0).normal(size=(3, 6)).astype(np.float32)
    state = np.random.default_rng(1).normal(size=(3, 2, 1, 3)).astype(np.float32)
    save(tmp_path / "a.npz", audio=audio, state=state)  # type: ignore[operator]
    found = samples(tmp_path, AUDIO, arrays="a.npz", samples=2)
    for sample, index in zip(found, (0, 1), strict=True):
        np.testing.assert_array_equal(sample.feeds["audio"][0], audio[index])
        np.testing.assert_array_equal(sample.feeds["state"], state[index])


def test_an_array_of_the_inputs_own_shape_is_one_sample(tmp_path: Path) -> None:
    np.savez(
        tmp_path / "a.npz",
        audio=np.ones((1, 6), np.float32),
        state=np.ones((2, 1, 3), np.float32),
    )
    assert len(samples(tmp_path, AUDIO, arrays="a.npz")) == 1


def test_a_folder_holds_a_file_for_each_sample(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for index in range(3):
        np.save(tmp_path / "data" / f"{index}.npy", np.full(4, index, np.float32))
    np.save(tmp_path / "labels.npy", np.array([5, 6, 7]))
    found = samples(tmp_path, ONE, arrays="data", labels="labels.npy")
    assert [(sample.feeds["x"][0, 0], sample.label) for sample in found] == [(0, 5), (1, 6), (2, 7)]
    (tmp_path / "labels.csv").write_text("file,label\n2.npy,2\n1.npy,1\n0.npy,0\n")
    found = samples(tmp_path, ONE, arrays="data", labels="labels.csv")
    assert [sample.label for sample in found] == [0, 1, 2]
    np.save(tmp_path / "data" / "3.npy", np.zeros(5, np.float32))
    assert "3.npy" in str(refusal(tmp_path, ONE, arrays="data").where)


def test_labels_in_the_folder_are_no_samples_and_scalars_stay_scalars(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    rate = (spec("rate", dtype="int64"),)
    np.save(tmp_path / "data" / "0.npy", np.array(16000))
    np.save(tmp_path / "data" / "labels.npy", np.array([1]))
    (sample,) = samples(tmp_path, rate, arrays="data", labels="data/labels.npy")
    assert sample.feeds["rate"].shape == ()
    assert sample.label == 1
    np.save(tmp_path / "rates.npy", np.array([8000, 16000]))
    assert [s.feeds["rate"].shape for s in samples(tmp_path, rate, arrays="rates.npy")] == [(), ()]


def test_labels_may_be_arrays(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((2, 4), np.float32))
    np.save(tmp_path / "y.npy", np.arange(12, dtype=np.float32).reshape(2, 6))
    found = samples(tmp_path, ONE, arrays="x.npy", labels="y.npy")
    np.testing.assert_array_equal(found[1].label, np.arange(6, 12))


@pytest.mark.parametrize("compressed", [False, True])
def test_memory_does_not_grow_with_the_number_of_samples(tmp_path: Path, compressed: bool) -> None:
    inputs = (spec("x", 1, 100_000),)
    save = np.savez_compressed if compressed else np.savez
    save(tmp_path / "x.npz", x=np.zeros((60, 100_000), np.float32))
    tracemalloc.start()
    for _ in open_dataset(DataSource(arrays="x.npz"), inputs, base=tmp_path):
        pass
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 6 * 400_000, "a few samples of 400 kB, not 60"


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (np.array([[0.1, 1, 2, 3]]), "float32"),
        (np.array([[0, 1, 2, 255]], np.uint8), "float32"),
        (np.array([[0, 1, 2, 3]], np.int64), "uint8"),
        (np.array([[0.0, 1, 2, 3]], np.float32), "int64"),
        (np.array([[True, False, True, True]]), "float32"),
    ],
)
def test_a_type_is_changed_where_every_value_stays(
    tmp_path: Path, stored: np.ndarray, wanted: str
) -> None:
    np.save(tmp_path / "x.npy", stored)
    (sample,) = samples(tmp_path, (spec("x", 1, 4, dtype=wanted),), arrays="x.npy")
    assert sample.feeds["x"].dtype == wanted
    np.testing.assert_allclose(sample.feeds["x"], stored, rtol=1e-7)


@pytest.mark.parametrize(
    ("stored", "wanted"),
    [
        (np.array([[0.5, 1, 2, 3]], np.float32), "int64"),
        (np.array([[-1, 1, 2, 3]], np.int64), "uint64"),
        (np.array([[0, 1, 2, 2**24 + 1]], np.int64), "float32"),
        (np.array([[0, 1, 2, 256]], np.int64), "uint8"),
        (np.array([[0, 1, 2, 1e300]]), "float32"),
        (np.array([[0, 1, 2, 3j]]), "float32"),
        (np.array([["a", "b", "c", "d"]]), "float32"),
    ],
)
def test_a_type_that_would_change_a_value_is_refused(
    tmp_path: Path, stored: np.ndarray, wanted: str
) -> None:
    np.save(tmp_path / "x.npy", stored)
    error = refusal(tmp_path, (spec("x", 1, 4, dtype=wanted),), arrays="x.npy")
    assert str(stored.dtype) in error.what


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_value_that_is_not_finite_is_refused_with_sample_and_index(
    tmp_path: Path, value: float
) -> None:
    values = np.zeros((3, 4), np.float32)
    values[2, 1] = value
    np.save(tmp_path / "x.npy", values)
    error = refusal(tmp_path, ONE, arrays="x.npy")
    assert error.where == f"{tmp_path / 'x.npy'}[2]"
    assert f"{value}" in error.what
    assert "[0, 1]" in error.what


def test_keys_that_are_not_the_models_inputs_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", audio=np.zeros((1, 6)), stat=np.zeros((2, 1, 3)))
    assert refusal(tmp_path, AUDIO, arrays="a.npz").hint == "Did you mean 'state'?"
    np.savez(tmp_path / "a.npz", audio=np.zeros((1, 6)))
    assert "no key 'state'" in refusal(tmp_path, AUDIO, arrays="a.npz").what
    np.save(tmp_path / "a.npy", np.zeros((1, 6)))
    assert "numpy.savez" in (refusal(tmp_path, AUDIO, arrays="a.npy").hint or "")


def test_shapes_counts_and_files_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((5, 7)))
    assert "[N, 1, 4] or [N, 4]" in refusal(tmp_path, ONE, arrays="x.npy").what
    np.save(tmp_path / "x.npy", np.zeros((0, 4)))
    assert "no sample" in refusal(tmp_path, ONE, arrays="x.npy").what
    np.savez(tmp_path / "a.npz", audio=np.zeros((3, 6)), state=np.zeros((2, 2, 1, 3)))
    assert "'audio' 3, 'state' 2" in refusal(tmp_path, AUDIO, arrays="a.npz").what
    np.save(tmp_path / "x.npy", np.asfortranarray(np.zeros((5, 4))))
    assert "column" in refusal(tmp_path, ONE, arrays="x.npy").what
    np.save(tmp_path / "x.npy", np.array([{}, []], object))
    assert "Python objects" in refusal(tmp_path, ONE, arrays="x.npy").what
    (tmp_path / "x.csv").write_text("1,2")
    assert ".npy or .npz" in refusal(tmp_path, ONE, arrays="x.csv").what
    (tmp_path / "empty").mkdir()
    assert "empty" in refusal(tmp_path, ONE, arrays="empty").what
    assert "no such" in refusal(tmp_path, ONE, arrays="nowhere.npy").what


@pytest.mark.parametrize("name", ["x.npy", "x.npz"])
@pytest.mark.parametrize("keep", [0, 3, 100, 140, 260])
def test_a_damaged_file_is_refused_by_name(tmp_path: Path, name: str, keep: int) -> None:
    whole = tmp_path / f"whole_{name}"
    if name == "x.npy":
        np.save(whole, np.zeros((10, 4), np.float32))
    else:
        np.savez(whole, x=np.zeros((10, 4), np.float32))
    (tmp_path / name).write_bytes(whole.read_bytes()[:keep])
    assert str(tmp_path / name) in str(refusal(tmp_path, ONE, arrays=name).where)


def test_labels_that_do_not_match_are_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((3, 4)))
    assert "no labels" in refusal(tmp_path, ONE, labelled=True, arrays="x.npy").what
    np.save(tmp_path / "y.npy", np.zeros(2, np.int64))
    assert "3 samples" in refusal(tmp_path, ONE, arrays="x.npy", labels="y.npy").what
    np.save(tmp_path / "y.npy", np.array([0, 1, -1]))
    assert "-1" in refusal(tmp_path, ONE, arrays="x.npy", labels="y.npy").what
    (tmp_path / "y.csv").write_text("file,label\n")
    assert ".npy" in refusal(tmp_path, ONE, arrays="x.npy", labels="y.csv").what


def test_the_fingerprint_follows_content_and_selection(tmp_path: Path) -> None:
    def fingerprint(**options: object) -> str:
        return open_dataset(DataSource(arrays="x.npy", **options), ONE, base=tmp_path).fingerprint()

    np.save(tmp_path / "x.npy", np.zeros((4, 4)))
    before = fingerprint()
    assert fingerprint() == before
    fewer = fingerprint(samples=2)
    np.save(tmp_path / "x.npy", np.ones((4, 4)))
    assert len({before, fewer, fingerprint()}) == 3
