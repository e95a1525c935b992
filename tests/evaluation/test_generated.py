"""A function of the user's gives samples; its errors name the user's own file and line."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from snapq.config import DataSource
from snapq.errors import DataError, SnapqError
from snapq.evaluation.datasets import Dataset, open_dataset
from snapq.graph.shapes import TensorSpec

X = (TensorSpec("x", np.dtype(np.float32), (1, 2)),)
HEAD = "import numpy as np\n"


def opened(base: Path, code: str, labelled: bool = False, **options: object) -> Dataset:
    (base / "mydata.py").write_text(HEAD + code)
    source = DataSource(python="mydata:samples", **options)
    return open_dataset(source, X, base=base, labelled=labelled)


def refusal(base: Path, code: str, labelled: bool = False) -> SnapqError:
    with pytest.raises(DataError) as caught:
        opened(base, code, labelled)
    assert caught.value.hint, "every refusal says how to mend it"
    return caught.value


def test_a_generator_and_a_list_give_samples_with_and_without_labels(tmp_path: Path) -> None:
    code = "def samples():\n    for i in range(3):\n        yield {'x': np.array([i, 0.0])}, i\n"
    found = opened(tmp_path, code, labelled=True)
    assert [(s.feeds["x"][0, 0], s.label) for s in found] == [(0, 0), (1, 1), (2, 2)]
    assert [s.name for s in found][2] == "mydata:samples[2]"
    assert found.description == "3 samples of mydata:samples"
    listed = opened(tmp_path, "def samples():\n    return [{'x': np.zeros((1, 2))}] * 2\n")
    assert len(listed) == 2
    assert listed.fingerprint() != found.fingerprint()


def test_an_endless_function_gives_the_first_samples(tmp_path: Path) -> None:
    code = "def samples():\n    while True:\n        yield {'x': np.zeros(2)}\n"
    assert len(list(opened(tmp_path, code, samples=3))) == 3


def test_the_module_may_import_its_neighbours_and_shares_no_name_with_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))  # later tests want Python's own `json`
    (tmp_path / "neighbour.py").write_text("VALUE = 4.0\n")
    (tmp_path / "json.py").write_text(
        "def samples():\n    from neighbour import VALUE\n    yield {'x': [VALUE, 0]}\n"
    )
    found = open_dataset(DataSource(python="json:samples"), X, base=tmp_path)
    assert next(iter(found)).feeds["x"][0, 0] == 4
    import json

    assert hasattr(json, "dumps")


@pytest.mark.parametrize(
    ("code", "line", "words"),
    [
        ("def samples():\n    yield {'x': 1 / 0}\n", 3, "ZeroDivisionError"),
        ("def samples():\n    return open('/no/such/file')\n", 3, "FileNotFoundError"),
        ("import no_such_package\n", 2, "no_such_package"),
        ("def samples(:\n", 2, "SyntaxError"),
        ("raise SystemExit(3)\n", 2, "SystemExit"),
        ("import asyncio\nraise asyncio.CancelledError\n", 3, "CancelledError"),
    ],
)
def test_an_error_in_the_users_code_names_file_and_line(
    tmp_path: Path, code: str, line: int, words: str
) -> None:
    error = refusal(tmp_path, code)
    assert error.where == f"{tmp_path / 'mydata.py'}:{line}"
    assert words in error.what


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def samples():\n    pass\n", "None"),
        ("def samples():\n    return {'x': 1}\n", "a dict"),
        ("def samples():\n    return []\n", "nothing"),
        ("def samples():\n    yield 3\n", "an int"),
        ("def samples():\n    yield {'y': np.zeros(2)}\n", "no input 'y'"),
        ("def samples():\n    yield {}\n", "no key 'x'"),
        ("def samples():\n    yield {'x': np.zeros(3)}\n", "[3]"),
        ("def samples():\n    yield {'x': np.array([0, np.nan])}\n", "nan"),
        ("def samples():\n    yield {'x': [[1], [2, 3]]}\n", "ValueError"),
        ("def samples():\n    yield {'x': np.zeros(2)}, 'cat'\n", "a str"),
        ("def samples():\n    yield {'x': np.zeros(2)}, -1\n", "-1"),
        ("def sample():\n    pass\n", "no function 'samples'"),
    ],
)
def test_what_is_no_sample_is_refused(tmp_path: Path, code: str, words: str) -> None:
    assert words in refusal(tmp_path, code).what


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("def samples():\n    yield {'x': np.random.rand(2)}\n", "yields other"),
        (
            "N = [3]\ndef samples():\n    while N:\n        yield {'x': [N.pop(), 1]}\n",
            "yields fewer",
        ),
    ],
)
def test_a_function_that_yields_something_else_again_is_refused(
    tmp_path: Path, code: str, words: str
) -> None:
    found = opened(tmp_path, code)
    with pytest.raises(DataError, match=words):
        list(found)


def test_a_missing_label_or_module_is_refused(tmp_path: Path) -> None:
    code = "def samples():\n    yield {'x': np.zeros(2)}\n"
    assert "no label" in refusal(tmp_path, code, labelled=True).what
    with pytest.raises(DataError, match=r"no nowhere\.py"):
        open_dataset(DataSource(python="nowhere:f"), X, base=tmp_path)


def test_random_samples_are_marked_and_follow_the_seed(tmp_path: Path) -> None:
    ids = TensorSpec("ids", np.dtype(np.int64), (1, 5))
    inputs = (*X, ids)

    def random(**options: object) -> Dataset:
        return open_dataset(DataSource(random=True, **options), inputs, base=tmp_path)

    first, again, other = list(random(seed=1)), list(random(seed=1)), list(random(seed=2))
    np.testing.assert_array_equal(first[3].feeds["x"], again[3].feeds["x"])
    assert (first[3].feeds["x"] != other[3].feeds["x"]).any()
    assert set(np.unique(first[0].feeds["ids"])) <= {0, 1}
    assert random(samples=2).random
    assert random(samples=2).description == "2 random samples (seed 0)"
    with pytest.raises(DataError, match="Random inputs have no labels"):
        open_dataset(DataSource(random=True), inputs, base=tmp_path, labelled=True)
