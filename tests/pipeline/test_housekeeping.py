"""What snapq keeps is shown, and freed by age and size; what a run uses stays."""

from __future__ import annotations

import fcntl
import json
import os
import time
from pathlib import Path

import pytest

import snapq
from snapq import api
from snapq.cli.options import parse_age, parse_size
from snapq.cli.output.errors import report_error
from snapq.errors import ConfigError
from snapq.pipeline.cache import Cache, in_use
from snapq.pipeline.housekeeping import Place
from snapq.pipeline.run_directory import run_folder
from tests.cli.test_bad_input import invoke

DAY = 86_400


def keep(folder: Path, name: str, days: float, size: int = 1000) -> Path:
    """A kept thing of so many bytes that was used so many days ago."""
    entry = folder / name
    entry.mkdir(parents=True)
    (entry / "model.onnx").write_bytes(b"x" * size)
    used = time.time() - days * DAY
    os.utime(entry, (used, used))
    return entry


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Path]:
    """Three stages, an image and wheels of different age, and a history."""
    monkeypatch.setenv("SNAPQ_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SNAPQ_HISTORY", str(tmp_path / "history.sqlite"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "history.sqlite").write_bytes(b"measurements")
    stages = tmp_path / "runs" / ".cache" / "stages"
    return {
        "old": keep(stages, "old", 40),
        "middle": keep(stages, "middle", 10),
        "new": keep(stages, "new", 0),
        "image": keep(tmp_path / "cache" / "emulator" / "images", "image", 50),
        "wheels": keep(tmp_path / "cache" / "wheels", "wheels", 1),
    }


def left(kept: dict[str, Path]) -> set[str]:
    return {name for name, path in kept.items() if path.exists()}


def test_every_place_is_shown_with_its_room_and_its_variable(kept: dict[str, Path]) -> None:
    code, output = invoke("cache", "--json")
    assert code == 0
    found = {place["name"]: place for place in json.loads(output)}
    assert (found["stages"]["entries"], found["stages"]["bytes"]) == (3, 3000)
    assert found["images"]["variable"] == "SNAPQ_CACHE"
    assert found["history"]["removable"] is False
    assert "stages" in invoke("cache")[1]


def test_what_is_old_goes_and_the_history_stays(kept: dict[str, Path], tmp_path: Path) -> None:
    done = api.clean(older_than_s=30 * DAY)
    assert done.freed == 2000
    assert left(kept) == {"middle", "new", "wheels"}
    assert (tmp_path / "history.sqlite").exists()


def test_what_was_used_longest_ago_goes_first_until_the_size_is_kept(
    kept: dict[str, Path],
) -> None:
    api.clean(max_bytes=2500)
    assert left(kept) == {"new", "wheels"}


def test_a_dry_run_removes_nothing_and_says_what_would_go(kept: dict[str, Path]) -> None:
    code, output = invoke("clean", "--older-than", "30d", "--dry-run")
    assert code == 0
    assert "would go" in output
    assert left(kept) == set(kept)


def test_one_kind_is_cleaned_alone(kept: dict[str, Path]) -> None:
    api.clean(everything=True, only=["stages"])
    assert left(kept) == {"image", "wheels"}
    with pytest.raises(ConfigError, match="Did you mean 'images'"):
        api.clean(everything=True, only=["image"])
    with pytest.raises(ConfigError, match="nothing called 'history'"):
        api.clean(everything=True, only=["history"])


def test_nothing_is_removed_where_it_is_not_said_what(kept: dict[str, Path]) -> None:
    code, output = invoke("clean")
    assert code == 2
    assert "--older-than 30d" in output
    assert left(kept) == set(kept)


def test_the_cache_of_a_run_in_progress_stays(kept: dict[str, Path]) -> None:
    with in_use(Path("runs/.cache")):
        done = api.clean(everything=True)
    assert left(kept) == {"old", "middle", "new"}
    assert "in use by a run" in done.skipped[0]
    with (Path("runs/.cache") / ".lock").open() as lock:  # and is free again behind it
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_may_be_in_use_elsewhere_stays(kept: dict[str, Path]) -> None:
    os.utime(kept["wheels"])
    assert "last hour" in " ".join(api.clean(everything=True).skipped)
    assert left(kept) == {"wheels"}


def test_bytes_that_a_run_shares_with_the_cache_are_not_called_free(kept: dict[str, Path]) -> None:
    run = kept["old"].parents[2] / "name" / "time"
    run.mkdir(parents=True)
    os.link(kept["old"] / "model.onnx", run / "model.onnx")
    assert api.clean(older_than_s=30 * DAY, only=["stages"]).freed == 0
    assert (run / "model.onnx").stat().st_size == 1000


def test_what_is_used_counts_as_new(tmp_path: Path) -> None:
    cache = Cache(tmp_path)
    cache.keep_value("key", 1)
    file = tmp_path / "values" / "key.json"
    os.utime(file, (0, 0))
    assert cache.value("key") == 1
    assert time.time() - file.stat().st_mtime < 60


def test_without_a_cache_there_is_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SNAPQ_CACHE", str(tmp_path / "none"))
    assert api.clean(everything=True, runs=tmp_path / "runs").removed == ()
    assert not (tmp_path / "runs").exists()
    places: tuple[Place, ...] = api.cache_contents(tmp_path / "runs")
    assert sum(place.bytes for place in places if place.removable) == 0


@pytest.mark.parametrize(
    ("text", "seconds"), [("30d", 30 * DAY), ("12h", 43_200), ("1.5h", 5400), ("2W", 14 * DAY)]
)
def test_ages_are_read(text: str, seconds: float) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"), [("5GB", 5 * 10**9), ("500 mb", 5 * 10**8), ("12", 12), ("1.5k", 1500)]
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "d", "30", "-3d", "30days", "1e3d", "∞d"])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no age"):
        parse_age(text)


@pytest.mark.parametrize("text", ["", "GB", "-3GB", "5 gigabytes", "0x10"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="is no size"):
        parse_size(text)


def fail_in(out: Path) -> None:
    with run_folder(out) as folder:
        (folder / "log.txt").write_text("Stage 1 of 3: source\n")
        (folder / "stages").mkdir()
        raise snapq.SnapqError("It broke.", where="conv1", hint="Mend it.")


def test_a_failed_run_keeps_its_log_says_where_and_gives_way_to_the_next(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with pytest.raises(snapq.SnapqError) as caught:
        fail_in(out)
    assert caught.value.log == str(out / "log.txt")
    assert sorted(path.name for path in out.iterdir()) == ["error.json", "log.txt"]
    log = (out / "log.txt").read_text()
    assert log.startswith("Stage 1 of 3")
    assert "It broke." in log
    found = json.loads((out / "error.json").read_text())
    assert (found["where"], found["hint"]) == ("conv1", "Mend it.")
    report_error(caught.value)
    assert capfd.readouterr().err.splitlines()[-1] == f"       Log: {out / 'log.txt'}"
    with pytest.raises(snapq.SnapqError, match="The run failed"):
        snapq.open_run(out)
    with run_folder(out) as folder:  # the next run takes the place
        (folder / "run.json").write_text("{}")
    assert [path.name for path in out.iterdir()] == ["run.json"]


def test_what_fails_before_there_is_a_log_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(snapq.SnapqError), run_folder(tmp_path / "runs" / "out"):
        raise snapq.SnapqError("The model cannot be read.")
    assert not (tmp_path / "runs").exists()


CLASS = """
class Score:
    def update(self, outputs, label):
        pass
    def compute(self):
        {}
"""


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("return totl", "name 'totl' is not defined"),
        ("return self.total", "has no attribute 'total'"),
        ("pass", "returned None"),
        ("return float('nan')", None),
        ("return 1 / 0", None),
        ("return 1", None),
    ],
)
def test_validate_finds_a_compute_that_would_fail_at_the_end(
    project: Path, body: str, said: str | None
) -> None:
    (project / "own.py").write_text(CLASS.format(body))
    config = api.load(project / "deploy.yaml", ["metric=own:Score"])
    if said is None:
        api.check(config)
    else:
        with pytest.raises(snapq.SnapqError, match=said):
            api.check(config)
