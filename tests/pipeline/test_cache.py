"""Kept results carry their hash: what is damaged or rests on a failure is computed again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from snapq.pipeline.cache import Cache
from snapq.stages.artifact import Artifact

KEY = "0123"


def build(folder: Path, *, failures: tuple[str, ...] = ()) -> Artifact:
    (folder / "model.onnx").write_bytes(b"model")
    (folder / "more").mkdir()
    (folder / "more" / "encodings.json").write_text("[]")
    return Artifact.write(
        folder,
        stage="quantize",
        precision="w8a8",
        seconds=0.25,
        notes=("A note.",),
        details={"of": (1, 2), "sqnr": 31.5},
        failures=failures,
    )


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    found = Cache(tmp_path / "cache")
    found.keep(KEY, build)
    found.keep_value(KEY, {"value": [1.5, "text"]})
    return found


def rewrite(name: str, old: str, new: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    return change


def as_file(folder: Path) -> None:
    shutil.rmtree(folder)
    folder.write_text("a file")


ARTIFACTS: dict[str, Callable[[Path], object]] = {
    "a changed model": lambda folder: (folder / "model.onnx").write_bytes(b"other"),
    "a missing file": lambda folder: (folder / "more" / "encodings.json").unlink(),
    "a file too many": lambda folder: (folder / "more" / "model.onnx.data").write_bytes(b"x"),
    "a folder for a file": lambda folder: (
        (folder / "model.onnx").unlink(),
        (folder / "model.onnx").mkdir(),
    ),
    "a record that is not UTF-8": lambda f: (f / "artifact.json").write_bytes(b'{"stage": "\xff"}'),
    "a record cut short": lambda folder: (folder / "artifact.json").write_text('{"stage": "qu'),
    "a record of another shape": lambda folder: (folder / "artifact.json").write_text("[1]"),
    "no record": lambda folder: (folder / "artifact.json").unlink(),
    "a changed precision": rewrite("artifact.json", "w8a8", "w8a16"),
    "a changed figure": rewrite("artifact.json", "31.5", "41.5"),
    "a file for the folder": as_file,
    "an empty folder": lambda folder: (shutil.rmtree(folder), folder.mkdir()),
}


@pytest.mark.parametrize("damage", ARTIFACTS)
def test_a_damaged_artifact_is_made_again(cache: Cache, tmp_path: Path, damage: str) -> None:
    assert cache.artifact(KEY) is not None
    ARTIFACTS[damage](tmp_path / "cache" / "stages" / KEY)
    assert cache.artifact(KEY) is None
    cache.keep(KEY, build)
    again = cache.artifact(KEY)
    assert again is not None
    assert again.record.details == {"of": [1, 2], "sqnr": 31.5}


def written(text: str | bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(text if isinstance(text, bytes) else text.encode())


VALUES: dict[str, Callable[[Path], object]] = {
    "another shape": written("[1, 2]"),
    "a bare value": written('{"value": [1.5, "text"]}'),
    "a figure": rewrite("", "1.5", "2.5"),
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "not UTF-8": written(b"\xff\xfe"),
    "null": written("null"),
    "nested too deep": written("[" * 100_000),
    "empty": written(""),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
}


@pytest.mark.parametrize("damage", VALUES)
def test_a_damaged_value_is_computed_again(cache: Cache, tmp_path: Path, damage: str) -> None:
    assert cache.value(KEY) == {"value": [1.5, "text"]}
    VALUES[damage](tmp_path / "cache" / "values" / f"{KEY}.json")
    assert cache.value(KEY) is None
    cache.keep_value(KEY, {"value": 3})
    assert cache.value(KEY) == {"value": 3}


@pytest.mark.parametrize(
    "put", [lambda path: path.write_text("a file"), lambda path: path.symlink_to("nowhere")]
)
@pytest.mark.parametrize("names", [("",), ("stages", "values")])
def test_what_stands_in_the_place_of_a_folder_of_the_cache_goes(
    tmp_path: Path, names: tuple[str, ...], put: Callable[[Path], object]
) -> None:
    cache = Cache(tmp_path / "cache")
    if len(names) > 1:
        (tmp_path / "cache").mkdir()
    for name in names:
        put(tmp_path / "cache" / name)
    cache.keep(KEY, build)
    cache.keep_value(KEY, 1)
    assert cache.artifact(KEY) is not None
    assert cache.value(KEY) == 1


def test_a_folder_in_the_place_of_a_checkpoint_goes(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    (cache.checkpoint(KEY) / "more").mkdir(parents=True)
    assert not cache.checkpoint(KEY).exists()


def test_what_rests_on_a_failure_is_used_once_and_not_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    used = cache.keep(KEY, lambda folder: build(folder, failures=("The disk is full.",)))
    assert used.model.read_bytes() == b"model"
    assert cache.artifact(KEY) is None
    cache.keep(KEY, build)
    assert cache.artifact(KEY) is not None


def test_values_are_kept_as_json_gives_them_back(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.keep_value(KEY, {"numbers": (0.1, float("inf")), "é": None})
    assert cache.value(KEY) == {"numbers": [0.1, float("inf")], "é": None}
    assert json.loads((tmp_path / "values" / f"{KEY}.json").read_text())["sha256"]
